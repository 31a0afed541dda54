#!/usr/bin/python3
"""test_containers.py CONTAINER_SHELL - TNEF and BinHex as our decoders read them and as other programs
do: tnef, and binhex and hexbin of macutils (R15).

Streams are made, whole and broken. A whole one is the same to both. Of a broken one we must see at
least what the other program does: no file hides from us behind damage that others overlook. Exit
status 77: the other programs are not there."""
import os
import pathlib
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fuzz"))
from make_mime_seeds import PROPERTIES, attribute, binhex, message_object, prop, tnef  # noqa: E402

SKIP, SEED = 77, 1515
SHELL = os.path.abspath(sys.argv[1])
FLAT, BROKEN = 50, 100   # streams
DEPTH = 5                # LIMIT_TNEF_DEPTH


def run(*argv, **options):
    return subprocess.run([str(a) for a in argv], capture_output=True, timeout=60, check=False, **options)


def bounded():
    resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))


def foreign(*argv, **options):
    """A program of others, which believes the lengths it reads: with little memory, which nobody fills for
    it (MALLOC_PERTURB_ of meson)."""
    return run(*argv, env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, preexec_fn=bounded, **options)


def ours(kind, files):
    """{file: (flags, [(name, contents)])}; the program must live through all of them."""
    done = run(SHELL, kind, *files)
    assert done.returncode == 0, done.stderr.decode()
    found, last = {}, None
    for line in done.stdout.decode().splitlines():
        if line.startswith(" "):
            name, contents = line[1:].split(" ")
            found[last][1].append((bytes.fromhex(name), bytes.fromhex(contents)))
        else:
            last, *flags = line.split(" ")
            found[last] = (flags, [])
    return found


def write(folder, number, data):
    file = folder / f"{number:04}"
    file.write_bytes(data)
    return str(file)


def check(condition, *what):
    if not condition:
        sys.exit("failed: " + ", ".join(map(repr, what)))


# ---- TNEF ----

NOISE = [attribute(1, 0x00078008, b"IPM.Microsoft Mail.Note\0"), attribute(1, 0x0002800C, b"some body text\0"),
         attribute(1, 0x00038005, struct.pack("<7H", 2026, 1, 2, 3, 4, 5, 6)),
         attribute(1, 0x00018004, b"subject\0")]


def random_files(r):
    """Names in their different places: the title, and a long one that counts for more."""
    files = []
    for i in range(r.randint(1, 6)):
        name = f"file{i}.{r.choice(('txt', 'exe', 'pdf'))}".encode()
        data = r.randbytes(r.choice((1, 3, 4, 57, 500, 2000)))
        properties = r.sample([p for p in PROPERTIES if b"l\0" not in p], r.randint(0, 3))
        long_name = prop(0x1E, 0x3707, b"long" + name + b"\0")
        if r.random() < 0.4:
            properties.insert(r.randint(0, len(properties)), long_name)
            files.append((name, data, properties, b"long" + name))
        else:
            files.append((name, data, properties, name))
    return files


def random_tnef(r):
    files = random_files(r)
    stream = tnef(*[f[:3] for f in files])
    head = 6 + len(attribute(1, 0x00089006, b"\0\0\1\0"))
    return stream[:head] + b"".join(r.sample(NOISE, r.randint(0, 3))) + stream[head:], [(f[3], f[1]) for f in files]


def theirs_tnef(file, *options):
    """What tnef extracts, by name. It may fail."""
    with tempfile.TemporaryDirectory() as folder:
        foreign("tnef", "--overwrite", *options, "-C", folder, "-f", file)
        return sorted((os.fsencode(f.name), f.read_bytes()) for f in pathlib.Path(folder).iterdir())


def whole_tnef(r, folder):
    made = [random_tnef(r) for _ in range(FLAT)]
    files = [write(folder, i, stream) for i, (stream, _) in enumerate(made)]
    seen = ours("tnef", files)
    for file, (_, expected) in zip(files, made):
        flags, found = seen[file]
        check(flags == ["tnef"] and found == expected, file, flags, found, expected)
        check(theirs_tnef(file) == sorted(expected), file, theirs_tnef(file), expected)
    return made


def break_stream(r, stream):
    """One way of many, and how it is called."""
    at = r.randrange(6, len(stream))
    way = r.choice(("cut", "byte", "length", "twice", "gap", "tail"))
    if way == "cut":
        return way, stream[:at]
    if way == "byte":
        return way, stream[:at] + r.randbytes(1) + stream[at + 1:]
    if way == "length":   # of an attribute: huge, none, one off
        at = r.choice(positions(stream))
        size = struct.unpack_from("<I", stream, at + 5)[0]
        new = r.choice((0, size + 1, max(size, 1) - 1, 0xFFFFFFFF, 0x7FFFFFFF, len(stream)))
        return way, stream[:at + 5] + struct.pack("<I", new) + stream[at + 9:]
    if way == "twice":
        return way, stream + stream[6:]
    if way == "gap":
        return way, stream[:at] + bytes(r.randint(1, 4)) + stream[at:]
    return way, stream + r.randbytes(r.randint(1, 40))


def positions(stream):
    """Where the attributes of a whole stream begin."""
    at, found = 6, []
    while at < len(stream):
        found.append(at)
        at += 9 + struct.unpack_from("<I", stream, at + 5)[0] + 2
    return found


def broken_tnef(r, folder, made):
    """Nothing crashes, and what tnef takes out of it, checksums or not, is listed with all its bytes."""
    streams = [break_stream(r, r.choice(made)[0]) for _ in range(BROKEN)]
    short = min((stream for stream, _ in made), key=len)
    streams += [("cut", short[:n]) for n in range(0, len(short), max(1, len(short) // 30))]
    files = [write(folder, i, stream) for i, (_, stream) in enumerate(streams)]
    seen, extracted = ours("tnef", files), 0
    for file, (way, _) in zip(files, streams):
        contents = [data for _, data in seen[file][1]]
        for name, data in theirs_tnef(file, "-K", "--ignore-cruft", "--ignore-encode"):
            extracted += 1
            check(any(data in c for c in contents), way, file, name, len(data), seen[file][0])
    check(extracted > BROKEN, extracted)


def nested_tnef(r, folder):
    """Messages in messages: files as deep as we go, and a flag below that."""
    stream, expected = tnef((b"f0", b"data 0", [])), [(b"f0", b"data 0")]
    for depth in range(1, DEPTH + 3):
        file = write(folder, depth, stream)
        flags, found = ours("tnef", [file])[file]
        check(("deep" in flags) == (depth > DEPTH) and "damaged" not in flags, depth, flags)
        names = [name for name, _ in found if name.startswith(b"f")]
        check(names == [name for name, _ in expected][:DEPTH], depth, names)
        name = b"f%d" % depth
        stream = tnef((name, b"data", []), (None, None, [prop(0x1E, 0x3001, b"m\0"), message_object(stream)]))
        expected.insert(0, (name, b"data"))


# ---- BinHex ----

def random_data(r):
    """Runs, the byte that marks them, and anything."""
    return b"".join(r.choice((bytes([r.choice((0, 0x90, 65))]) * r.randint(1, 600), r.randbytes(r.randint(1, 90)),
                              b"\x90" * r.randint(1, 3))) for _ in range(r.randint(1, 12)))


def whole_binhex(r, folder):
    """Made by binhex, with runs packed and not, and made by ourselves with a resource fork, which
    hexbin reads as we do."""
    expected = {}
    for i in range(40):
        name, data = f"f{i}", random_data(r) if i else b""
        (folder / name).write_bytes(data)
        made = foreign("binhex", "-d", *(["-R"] if i % 2 else []), name, cwd=folder).stdout
        check(made, "binhex made nothing of", name, data)
        expected[write(folder, i, made)] = (name.encode(), data)
    for i in range(40, 60):
        data = random_data(r)
        file = write(folder, i, b"(This file must be converted with BinHex 4.0)\n\n"
                     + binhex(b"g%d" % i, data, random_data(r)).replace(b"\r\n", b"\n"))
        expected[file] = (b"g%d" % i, data)
        foreign("hexbin", "-d", file, cwd=folder)
        check((folder / f"g{i}.data").read_bytes() == data, "hexbin reads", file, "otherwise")
    for file, (flags, found) in ours("binhex", expected).items():
        check(flags == ["header", "complete", "done"] and found == [expected[file]], file, flags, found)
    return expected


def broken_binhex(r, folder, whole):
    """Damage is seen: what is complete with all its sums right is the file that was sent."""
    files, sent, passed = [], {}, 0
    for i in range(300):
        source = r.choice(sorted(whole))
        text = pathlib.Path(source).read_bytes()
        at, way = r.randrange(len(text)), r.randrange(4)
        new = (text[:at], text[:at] + bytes([r.choice(text)]) + text[at + 1:], text[:at] + text[at + 1:],
               text[:at] + text[at:at + 1] + text[at:])[way]
        files.append(write(folder, 100 + i, new))
        sent[files[-1]] = whole[source]
    for file, (flags, found) in ours("binhex", files).items():
        if "complete" in flags and "sum" not in flags:
            passed += 1
            check(found == [sent[file]], file, flags, found, sent[file])
    check(0 < passed < 150, passed)


def main():
    if not all(map(shutil.which, ("tnef", "binhex", "hexbin"))):
        print("tnef or macutils is not there")
        return SKIP
    r = random.Random(SEED)
    with tempfile.TemporaryDirectory() as top:
        folders = [pathlib.Path(top, name) for name in ("whole", "broken", "nested", "binhex")]
        for folder in folders:
            folder.mkdir()
        broken_tnef(r, folders[1], whole_tnef(r, folders[0]))
        nested_tnef(r, folders[2])
        broken_binhex(r, folders[3], whole_binhex(r, folders[3]))
    return 0


sys.exit(main())
