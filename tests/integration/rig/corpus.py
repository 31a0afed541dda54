"""Messages of our own making, always the same ones: every encoding, many charsets, all kinds of
nesting, and what is broken in the ways that mail is broken. For "byte for byte" tests.

    for name, message in corpus.messages(): ...

Each is bytes with the line ends that it goes out with. All begin with the fields that an MTA would
add, so that two passes through the same MTA differ in trace fields only."""

import base64
import quopri
import random

SEED = 7361

CHARSETS = {
    "us-ascii": "plain words",
    "utf-8": "Grüße, Привет, 日本語, 🙂",
    "iso-8859-1": "Grüße, façade",
    "iso-8859-15": "Grüße für 5 €",
    "windows-1252": "“Grüße” – 5 €",
    "windows-1251": "Привет",
    "koi8-r": "Привет",
    "iso-8859-2": "Zażółć gęślą jaźń",
    "iso-8859-7": "Γειά σου",
    "iso-8859-8": "שלום",
    "windows-1256": "مرحبا",
    "shift_jis": "日本語の表",
    "euc-jp": "日本語",
    "iso-2022-jp": "日本語",
    "gb18030": "你好，世界",
    "big5": "你好",
    "euc-kr": "안녕하세요",
    "utf-16": "Grüße 日本語",
    "utf-7": "Grüße",
}
ENCODINGS = ("7bit", "8bit", "quoted-printable", "base64", "binary", None)


def own_fields(name):
    return (f"From: ann@one.test\r\nTo: bob@two.test\r\nDate: Fri, 2 Jan 2026 03:04:05 +0000\r\n"
            f"Message-Id: <{name}@one.test>\r\n").encode()


def encode(data, encoding):
    """data in a transfer encoding, lines ended by CRLF."""
    if encoding == "base64":
        return base64.encodebytes(data).replace(b"\n", b"\r\n")
    if encoding == "quoted-printable":
        return quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return data


def is_of_lines(data):
    """Can it go out without an encoding?"""
    rest = data.replace(b"\r\n", b"")
    return not (b"\r" in rest or b"\n" in rest or b"\0" in rest)


def entity(kind, body, encoding=None, *fields):
    """A header with its body."""
    head = [f"Content-Type: {kind}", *fields]
    if encoding:
        head.append(f"Content-Transfer-Encoding: {encoding}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def multipart(kind, boundary, *parts, preamble=b"", epilogue=b""):
    lines = [preamble] if preamble else []
    for part in parts:
        lines += [b"--" + boundary.encode(), part]
    body = b"\r\n".join([*lines, b"--" + boundary.encode() + b"--", epilogue])
    return entity(f'multipart/{kind}; boundary="{boundary}"', body)


def texts():
    """Every charset in every encoding that can carry it, as plain text and as HTML."""
    for charset, words in CHARSETS.items():
        for encoding in ENCODINGS:
            for kind in ("plain", "html"):
                text = f"{words}\r\n\r\n= . \r\n.\r\n..\r\nFrom {words}\r\n{'long ' * 30}\r\n"
                if kind == "html":
                    text = f"<html><body><p>{text}</p></body></html>\r\n"
                data = text.encode(charset)
                plain = encoding in (None, "7bit", "8bit", "binary")
                if plain and not is_of_lines(data):
                    continue
                yield (f"text-{charset}-{encoding or 'none'}-{kind}",
                       entity(f"text/{kind}; charset={charset}", encode(data, encoding), encoding))


def some_part(r, depth):
    """Something that can be in a multipart, or a message."""
    choice = r.randrange(10)
    if depth < 4 and choice < 4:
        parts = [some_part(r, depth + 1) for _ in range(r.randint(1, 4))]
        return multipart(r.choice(("mixed", "alternative", "related", "parallel", "x-new")),
                         f"=_{depth}_{r.randrange(1 << 30):x}", *parts,
                         preamble=r.choice((b"", b"This is a multi-part message in MIME format.")),
                         epilogue=r.choice((b"", b"", b"after\r\n")))
    if depth < 4 and choice == 4:
        return entity("message/rfc822", b"Subject: inside\r\n" + some_part(r, depth + 1))
    if choice < 7:
        encoding = r.choice(("base64", "base64", "x-uuencode", "quoted-printable"))
        data = r.randbytes(r.choice((0, 1, 2, 57, 1000, 20000)))
        if encoding == "x-uuencode":
            data = b"begin 644 f\r\n#86)C\r\n`\r\nend\r\n"
        return entity(r.choice(("application/pdf", "image/png", "text/csv")), encode(data, encoding),
                      encoding, f"Content-Disposition: {r.choice(('attachment', 'inline'))};\r\n"
                                f" filename=\"{r.choice(('a.pdf', 'b c.png', 'x' * 80))}\"")
    charset = r.choice([c for c in CHARSETS if c not in ("utf-16", "utf-7")])
    encoding = r.choice(("8bit", "quoted-printable", "base64"))
    text = "".join(r.choice((CHARSETS[charset], "\r\n", " ", "word", "\t", "=", "<b>", "-- \r\n"))
                   for _ in range(r.randrange(40)))
    return entity(f"text/{r.choice(('plain', 'html'))}; charset=\"{charset}\"{r.choice(('', '; format=flowed'))}",
                  encode(text.encode(charset), encoding), encoding)


BROKEN = {
    "empty-body": b"\r\n",
    "no-empty-line": b"Subject: s\r\n",
    "line-that-is-no-field": b"Subject: s\r\nnonsense without colon\r\n\r\nx\r\n",
    "fold-of-blanks": b"Subject: s\r\n \t \r\nX: y\r\n\r\nx\r\n",
    "blank-before-colon": b"Subject : s\r\n\r\nx\r\n",
    "eight-bit-header": "Subject: Grüße\r\n\r\nx\r\n".encode(),
    "latin1-header": b"Subject: Gr\xfc\xdfe\r\nX-\xfc: y\r\n\r\nx\r\n",
    "long-header": b"X-Long: " + b"word " * 300 + b"\r\n\r\nx\r\n",
    "long-folded-header": b"X-Long:" + b"\r\n word" * 300 + b"\r\n\r\nx\r\n",
    "many-fields": b"".join(b"X-%d: y\r\n" % i for i in range(200)) + b"\r\nx\r\n",
    "same-field-twice": b"Subject: a\r\nsubject: b\r\nSUBJECT:c\r\n\r\nx\r\n",
    "two-content-types": b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n<b>x\r\n",
    "two-charsets": b"Content-Type: text/plain; charset=utf-8; charset=utf-16\r\n\r\nx\r\n",
    "two-boundaries": b"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n--a\r\n\r\nx\r\n--b--\r\n",
    "no-boundary": b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
    "no-end": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n",
    "no-parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\nx\r\n",
    "only-the-end": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n",
    "boundary-reused": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
                       b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n--b--\r\n",
    "part-without-header": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--b--\r\n",
    "part-without-body": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: y\r\n--b--\r\n",
    "wrong-type": b"Content-Type: text\r\n\r\nx\r\n",
    "wrong-type-too": b"Content-Type: /; charset=\"\r\n\r\nx\r\n",
    "wrong-charset": b"Content-Type: text/plain; charset=utf-8\r\n\r\n\xff\xfe\xfd\r\n",
    "unknown-charset": b"Content-Type: text/plain; charset=x-nonsense\r\n\r\n\xe4\r\n",
    "unknown-encoding": b"Content-Transfer-Encoding: rot13\r\n\r\nuryyb\r\n",
    "wrong-base64": b"Content-Transfer-Encoding: base64\r\n\r\na*b=c\r\n====\r\nYQ\r\n",
    "base64-in-one-line": b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 200 + b"\r\n",
    "wrong-quoted-printable": b"Content-Transfer-Encoding: quoted-printable\r\n\r\na=zz =\r\n=\r\n=4",
    "encoded-multipart": b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64"
                         b"\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
    "long-lines": b"Subject: s\r\n\r\n" + b"x" * 998 + b"\r\n" + b"y" * 999 + b"\r\n" + b"z" * 2047
                  + b"\r\n" + b"w" * 5000 + b"\r\n",
    "long-8bit-lines": b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit"
                       b"\r\n\r\n" + "ä".encode() * 700 + b"\r\n",
    "dots": b"Subject: s\r\n\r\n.\r\n..\r\n...\r\n. \r\n.x\r\n\r\n.\r\n",
    "trailing-blanks": b"Subject: s  \r\n\r\nx \r\n\t\r\n  \r\n\r\n\r\n",
    "carriage-returns": b"Subject: s\r\n\r\na\rb\r\rc\r\r\n\rd\r\n",
    "controls": b"Subject: s\r\n\r\n\x01\x07\x08\x0b\x0c\x1b[1m\x7f\r\n",
    "nul": b"Subject: s\r\n\r\na\0b\r\n\0\0\r\n",
    "line-feeds": b"Subject: s\r\n\r\na\nb\n\nc\r\n",
    "from-line": b"Subject: s\r\n\r\nFrom me to you\r\n>From you\r\n",
    "uuencoded": b"Subject: s\r\n\r\nsee:\r\nbegin 644 a.txt\r\n#86)C\r\n`\r\nend\r\n",
    "pgp": b"Subject: s\r\n\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\n- -- \r\nx\r\n"
           b"-----BEGIN PGP SIGNATURE-----\r\n\r\niQ==\r\n-----END PGP SIGNATURE-----\r\n",
    "smime": b"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n\r\n"
             b"--b\r\nContent-Type: text/plain\r\n\r\nx \r\n--b\r\nContent-Type: application/pkcs7-signature"
             b"\r\nContent-Transfer-Encoding: base64\r\n\r\nMIIB\r\n--b--\r\n",
    "dkim": b"DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=one.test; s=k;\r\n\th=from;"
            b"\r\n\tbh=AAAA=; b=BBBB\r\n CCCC=\r\n\r\nx  \r\n\r\n",
    "report": b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\n"
              b"x\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n"
              b"Final-Recipient: rfc822; y\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
              b"Subject: s\r\n--b--\r\n",
    "calendar": b"Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
    "digest": b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: a\r\n\r\nx\r\n--b\r\n"
              b"\r\nSubject: b\r\n\r\ny\r\n--b--\r\n",
    "rfc2231": b"Content-Type: application/x; name*0*=utf-8''%e2%82; name*1*=%ac\r\n\r\nx\r\n",
    "comments": b"Content-Type: text/plain (really); (c) charset=utf-8\r\nMIME-Version: 1.0 (x)\r\n\r\nx\r\n",
}


def deep(levels):
    part = entity("text/plain", b"deep\r\n")
    for i in range(levels):
        part = multipart("mixed", f"b{i}", part)
    return part


def messages(count=330):
    """At least `count` messages as (name, bytes)."""
    r = random.Random(SEED)
    found = [(name, b"MIME-Version: 1.0\r\n" + rest) for name, rest in texts()]
    found += BROKEN.items()
    found += [(f"deep-{n}", b"MIME-Version: 1.0\r\n" + deep(n)) for n in (1, 5, 20, 40)]
    found.append(("big", b"MIME-Version: 1.0\r\n" + multipart(
        "mixed", "b", entity("text/plain", b"x\r\n"),
        entity("application/zip", encode(r.randbytes(300000), "base64"), "base64"))))
    while len(found) < count:
        found.append((f"random-{len(found)}", b"MIME-Version: 1.0\r\n" + some_part(r, 0)))
    return [(name, own_fields(name) + rest) for name, rest in found]
