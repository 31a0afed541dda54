#!/usr/bin/python3
"""make_mime_seeds.py - write the seeds of the targets mime, binhex and tnef.

They are made, not collected: BinHex after RFC 1741, TNEF after MS-OXTNEF, messages that use what
the parser knows. Run it after a change and commit what it wrote into seeds/."""

import base64
import binascii
import pathlib
import struct

SEEDS = pathlib.Path(__file__).resolve().parent / "seeds"
ALPHABET = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"


def pack_runs(raw):
    out, i = bytearray(), 0
    while i < len(raw):
        run = 1
        while run < 255 and i + run < len(raw) and raw[i + run] == raw[i]:
            run += 1
        out += b"\x90\0" if raw[i] == 0x90 else bytes([raw[i]])
        if run > 1:
            out += bytes([0x90, run])
        i += run
    return bytes(out)


def with_crc(section):
    return section + struct.pack(">H", binascii.crc_hqx(section, 0))


def binhex(name, data, resource=b"", stated=None):
    header = struct.pack(">B", len(name)) + name + b"\0TEXTttxt\0\0"
    header += struct.pack(">II", len(data) if stated is None else stated, len(resource))
    raw = pack_runs(with_crc(header) + with_crc(data) + with_crc(resource))
    number, bits = int.from_bytes(raw, "big"), 8 * len(raw)
    number, bits = number << -bits % 6, bits + -bits % 6
    text = bytes(ALPHABET[number >> shift & 63] for shift in range(bits - 6, -1, -6))
    text = b":" + text + b":"
    return b"\r\n".join(text[i:i + 64] for i in range(0, len(text), 64)) + b"\r\n"


def attribute(level, number, data):
    return struct.pack("<BII", level, number, len(data)) + data + struct.pack(
        "<H", sum(data) & 0xFFFF)


def padded(data):
    return struct.pack("<I", len(data)) + data + bytes(-len(data) % 4)


def prop(kind, number, *values):
    return struct.pack("<HHI", kind, number, len(values)) + b"".join(map(padded, values))


def tnef(*files):
    out = struct.pack("<IH", 0x223E9F78, 1) + attribute(1, 0x00089006, b"\0\0\1\0")
    out += attribute(1, 0x00069007, struct.pack("<II", 1252, 0))
    for title, data, properties in files:
        out += attribute(2, 0x00069002, bytes(14))
        if title:
            out += attribute(2, 0x00018010, title + b"\0")
        if data:
            out += attribute(2, 0x0006800F, data)
        if properties:
            out += attribute(2, 0x00069005,
                             struct.pack("<I", len(properties)) + b"".join(properties))
    return out


def message_object(inner):
    return prop(0x0D, 0x3701, bytes.fromhex("0703020000000000c000000000000046") + inner)


PROPERTIES = [
    struct.pack("<HHI", 0x03, 0x3705, 1),
    struct.pack("<HH16sII", 0x03, 0x8001, bytes(16), 0, 7) + bytes(4),
    struct.pack("<HH16sI", 0x1E, 0x8002, bytes(16), 1) + padded("n".encode("utf-16le")) +
    struct.pack("<I", 1) + padded(b"v\0"),
    struct.pack("<HHI", 0x1003, 0x3000, 2) + bytes(8),
    prop(0x1F, 0x3707, "länger.txt\0".encode("utf-16le")),
    prop(0x1E, 0x370E, b"text/plain\0"),
]
TNEF_STREAMS = {
    "file": tnef((b"a.txt", b"contents", [])),
    "properties": tnef((b"a.txt", b"contents", PROPERTIES)),
    "embedded": tnef((None, None, [prop(0x1E, 0x3001, b"m\0"),
                                   message_object(tnef((b"b", b"inner", PROPERTIES)))])),
    "cut": tnef((b"a.txt", b"contents", PROPERTIES))[:-20],
}
BINHEX_TEXTS = {
    "plain": b"(This file must be converted with BinHex 4.0)\r\n\r\n" + binhex(b"f", b"data"),
    "runs": binhex(b"runs", b"a" * 700 + b"\x90\x90" + bytes(40), b"resource"),
    "long": binhex(b"long", bytes(range(256)) * 3),
    "lies": binhex(b"lies", b"data", stated=0xFFFFFFFF),
}


def encoded(headers, data):
    return (headers + "Content-Transfer-Encoding: base64\n\n").encode() + base64.encodebytes(data)


UUE = b"begin 644 x.bin\n" + binascii.b2a_uu(b"some data") + b"`\nend\n"
MESSAGES = {
    "plain": b"Subject: s\n\nbody\n" + UUE,
    "mixed": b"""MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

preamble
--b
Content-Type: text/plain; charset=utf-8

text
--b
Content-Type: multipart/alternative; boundary=c

--c

one
--c
Content-Type: text/html
Content-Transfer-Encoding: quoted-printable

=3Ca=3E=
--c--
--b
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/digest; boundary=d

--d

Subject: deep

text
--d--
--b--
epilogue
""",
    "names": b"""Content-Type: application/x; name*0*=utf-8''%e2%82; name*1*=%ac; name*2=.txt
Content-Disposition: attachment; filename="=?iso-8859-1?q?f=FCr?="; filename=b
Content-Transfer-Encoding: base64
Content-Type: text/plain

SGVsbG8=
""",
    "broken": b"""Content-Type: multipart/mixed; boundary=b; boundary="c

--b
--b
Content-Type: message/rfc822
Content-Transfer-Encoding: base64

QTogYg==
--bb
--b--x
no field
""",
    "uue": b"Content-Type: image/gif\nContent-Transfer-Encoding: x-uuencode\n\n" + UUE,
    "binhex": b"Content-Type: application/mac-binhex40\n\n" + BINHEX_TEXTS["runs"],
    "tnef": encoded("Content-Type: application/ms-tnef; name=winmail.dat\n",
                    TNEF_STREAMS["embedded"]),
}


def main():
    messages = {name: text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
                for name, text in MESSAGES.items()}
    for target, seeds in (("mime", messages), ("binhex", BINHEX_TEXTS), ("tnef", TNEF_STREAMS)):
        folder = SEEDS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
