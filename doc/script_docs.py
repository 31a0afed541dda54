"""The comments above the functions that scripts can call: what gen-reference and check-docs share.

The form, in lua-bindings/*.c:

    /*** name.function(arguments) -> results
     * What it does. */

directly above the C function, or above its row in a struct library_row table when it is the stock
function of liblua. Several of them may stand above one function that has several names."""
import glob
import os
import re

# "file:read(...)", "print(...)", "math.pi"
_SIGNATURE = re.compile(r"^([A-Za-z_][\w]*(?:[.:][A-Za-z_]\w*)?)(\(.*\))?( -> .+)?$")
_BLOCK = re.compile(r"^([ \t]*)/\*\*\* (.*?)\*/", re.DOTALL | re.MULTILINE)
# what may follow: the next block, a function, a macro that makes one, a row of a table
_OWNER = re.compile(
    r"\s*(?:/\*\*\* |(?:static )?int l_\w+\(lua_State \*L\)|[A-Z_]+\(l_\w+,|\{\"\w+\", \w+\})"
)


class Doc:
    """One comment: name, whole signature, text, and where it stands."""

    def __init__(self, name, signature, text, place):
        self.name, self.signature, self.text, self.place = name, signature, text, place

    @property
    def library(self):
        """ "string" of string.find, "" of print."""
        return re.split(r"[.:]", self.name)[0] if re.search(r"[.:]", self.name) else ""


def _parse(body):
    lines = [re.sub(r"^[ \t]*\*[ \t]?", "", line).strip() for line in body.strip().split("\n")]
    return lines[0], " ".join(lines[1:]).strip()


def read(root):
    """All comments below root, and what is wrong with the form of some ("file:line: what")."""
    docs, wrong = [], []
    for path in sorted(glob.glob(f"{root}/lua-bindings/**/*.c", recursive=True)):
        with open(path, encoding="utf-8") as file:
            source = file.read()
        for block in _BLOCK.finditer(source):
            place = f"{os.path.relpath(path, root)}:{source.count(chr(10), 0, block.start()) + 1}"
            signature, text = _parse(block[2])
            match = _SIGNATURE.match(signature)
            if not match:
                wrong.append(f"{place}: not of the form name.function(arguments) -> results")
                continue
            if not text:
                wrong.append(f"{place}: {match[1]} has no description")
            if not _OWNER.match(source, block.end()):
                wrong.append(f"{place}: {match[1]} does not stand directly above its function")
            docs.append(Doc(match[1], signature, text, place))
    return docs, wrong
