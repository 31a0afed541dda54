"""What check-layers and check-forbidden share: the C sources of a tree, and C without comments."""
import os
import re
import subprocess
import sys

SKIP = 77  # meson's "skipped"

# One comment, string or character constant. Line splices inside of them are part of them.
_TOKEN = re.compile(
    r"""(?P<comment>//(?:\\\n|[^\n])*|/\*.*?\*/)"""
    r"""|(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""",
    re.DOTALL,
)


def root_of(arguments):
    """The tree to check: the only argument, else the one that this file is in."""
    if len(arguments) > 2:
        sys.exit(f"usage: {arguments[0]} [TREE]")
    return os.path.abspath(arguments[1] if len(arguments) == 2 else f"{__file__}/../..")


def c_files(root):
    """Paths below root of its .c and .h files: the tracked ones; all where there is no git."""
    try:
        listed = subprocess.run(
            ["git", "-C", root, "ls-files", "-z", "--", "*.c", "*.h"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        ).stdout.decode()
        files = [name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        files = []
        for folder, folders, names in os.walk(root):
            folders[:] = [f for f in folders if not f.startswith((".", "build"))]
            files += [os.path.relpath(f"{folder}/{n}", root) for n in names]
    return sorted(f for f in files if f.endswith((".c", ".h")) and os.path.exists(f"{root}/{f}"))


def read(root, name):
    with open(f"{root}/{name}", encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def without_comments(source, strings=True):
    """The same lines and columns with comments blanked; strings=False: string contents as well."""

    def replace(match):
        if match["comment"] is not None:
            return _blank(match[0])
        return match[0] if strings else match[0][0] + _blank(match[0][1:-1]) + match[0][-1]

    return _TOKEN.sub(replace, source)


def line_of(source, offset):
    return source.count("\n", 0, offset) + 1


def report(findings):
    """Print the findings; the exit status."""
    for finding in findings:
        print(finding)
    return 1 if findings else 0
