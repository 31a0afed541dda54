#!/usr/bin/python3
"""check-docs finds functions without a comment, comments without a function, and a stale page. What
the documents show can be pasted, and the files they name are there and are installed."""
import glob
import os
import re
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))

GOOD = """\
/*** string.find(s, pattern) -> first, last
 * Finds. */
static int l_find(lua_State *L)
{
}

/*** old.one(a)
 * Old name. */
/*** new.one(a)
 * New name
 * in two lines. */
int l_one(lua_State *L)
{
}

/*** os.exit()
 * Disabled. */
DISABLED(l_exit, "os.exit", "do not")

static const struct library_row rows[] = {
    /*** math.pi
     * A number. */
    {"pi", NULL},
    {NULL, NULL},
};
"""
NAMES = ["string.find", "old.one", "new.one", "os.exit", "math.pi"]


def run(source, names, page=None):
    """Exit status and output of check-docs; page None: what gen-reference makes."""
    with tempfile.TemporaryDirectory() as root:
        for folder in ("lua-bindings", "doc"):
            os.mkdir(f"{root}/{folder}")
        for name in ("gen-reference", "script_docs.py"):
            os.symlink(f"{HERE}/../doc/{name}", f"{root}/doc/{name}")
        with open(f"{root}/lua-bindings/x.c", "w", encoding="utf-8") as file:
            file.write(source)
        with open(f"{root}/lister", "w", encoding="utf-8") as file:
            file.write("#!/usr/bin/python3\nprint(%r)\n" % "\n".join(names))
        os.chmod(f"{root}/lister", 0o700)
        if page is None:
            made = subprocess.run([f"{root}/doc/gen-reference", root], capture_output=True,
                                  text=True, check=False)
            page = made.stdout
        with open(f"{root}/doc/functions.md", "w", encoding="utf-8") as file:
            file.write(page)
        done = subprocess.run([f"{HERE}/check-docs", f"{root}/lister", root],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        return done.returncode, done.stdout


class Docs(unittest.TestCase):
    def finds(self, what, source=GOOD, names=None, page=None):
        status, out = run(source, NAMES if names is None else names, page)
        self.assertEqual(status, 1, out)
        self.assertIn(what, out)

    def test_good(self):
        self.assertEqual(run(GOOD, NAMES), (0, ""))

    def test_function_without_comment(self):
        self.finds("os.new has no comment", names=NAMES + ["os.new"])

    def test_comment_without_function(self):
        self.finds("lua-bindings/x.c:7: old.one is documented, but no script can reach it",
                   names=[n for n in NAMES if n != "old.one"])

    def test_two_comments(self):
        self.finds("string.find is documented at lua-bindings/x.c:1 already",
                   GOOD + "/*** string.find(s)\n * Again. */\nint l_x(lua_State *L)\n")

    def test_form(self):
        self.finds("x.c:1: not of the form", GOOD.replace("string.find(", "find in (", 1))
        self.finds("x.c:1: string.find has no description", GOOD.replace("\n * Finds.", "", 1))
        self.finds("x.c:1: string.find does not stand directly above its function",
                   GOOD.replace("static int l_find", "int x;\nstatic int l_find"))

    def test_stale_page(self):
        self.finds("doc/functions.md is not up to date", page="old\n")

    def test_no_names(self):
        self.finds("LISTER names no function", "", [])

    def test_stamp(self):
        """A build has the stamp, or it has failed."""
        with tempfile.TemporaryDirectory() as root:
            os.mkdir(f"{root}/lua-bindings")
            done = subprocess.run([f"{HERE}/check-docs", "/bin/true", root, f"{root}/stamp"],
                                  stdout=subprocess.PIPE, check=False)
            self.assertEqual((done.returncode, os.path.exists(f"{root}/stamp")), (1, False))

    @unittest.skipUnless("MAILHOOKS_BUILD" in os.environ, "meson test says where the build is")
    def test_every_build_checks(self):
        build = os.environ["MAILHOOKS_BUILD"]
        with open(f"{build}/build.ninja", encoding="utf-8") as file:
            everything = [line for line in file if line.startswith("build all:")]
        self.assertEqual(len(everything), 1)
        self.assertIn("tests/script_docs.stamp", everything[0].split())
        self.assertTrue(os.path.exists(f"{build}/tests/script_docs.stamp"))


def texts(*patterns):
    """Name and text of files of the tree."""
    for pattern in patterns:
        for path in sorted(glob.glob(f"{HERE}/../{pattern}")):
            if os.path.isfile(path):
                with open(path, encoding="utf-8") as file:
                    yield os.path.relpath(path, f"{HERE}/.."), file.read()


class Shown(unittest.TestCase):
    def test_no_indented_blocks(self):
        """A line of main.cf that is pasted with blanks before it continues the one above."""
        for name, text in texts("doc/*.md", "README.md"):
            text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.S | re.M)
            found = re.search(r"\n\n( {4}|\t).*", text)
            self.assertIsNone(found, f"{name}: {found and found[0]!r} belongs between ```")

    def test_named_files(self):
        """Those of contrib/ exist; those that are for administrators are installed."""
        with open(f"{HERE}/../contrib/meson.build", encoding="utf-8") as file:
            installed = set(re.findall(r"'([\w./-]+)'", file.read()))
        build_only = {"quickstart", "quickstart.d", "packages-build", "install-packages"}
        named = 0
        for name, text in texts("doc/*.md", "README.md", "man/*", "contrib/*", "contrib/*/*"):
            for path in re.findall(r"(?<![\w/])(contrib/[\w./*-]*\w)", text):
                named += 1
                self.assertTrue(os.path.exists(f"{HERE}/../{path}"), f"{name} names {path}")
                top = path.split("/")[1]
                self.assertIn(top, installed | build_only | {"scripts"}, f"{name} names {path}")
        self.assertGreater(named, 50)

    def test_examples_are_listed(self):
        """README.md says of each script what it is for and what it is copied to."""
        with open(f"{HERE}/../README.md", encoding="utf-8") as file:
            text = file.read()
        rows = re.findall(r"^\| [^|]+ \| (`[^|]+) \| `(\w+)\.lua`[^|]*\|$", text, re.M)
        listed = [name for names, _ in rows for name in re.findall(r"`([\w-]+\.lua)`", names)]
        there = {os.path.basename(path) for path in glob.glob(f"{HERE}/../contrib/scripts/*.lua")}
        self.assertEqual(sorted(listed + ["first.lua"]), sorted(there))
        known = {"smtprules_1", "mxserverrules", "mxout", "relayout", "smtpsvr", "signature",
                 "errors", "user_redirect", "delivery", "passwordcheck"}
        self.assertLessEqual({target for _, target in rows}, known)

    def test_named_documents(self):
        """Links, and doc/... in comments, lead to documents that exist."""
        for name, text in texts("doc/*.md", "README.md", "contrib/*", "contrib/*/*"):
            folder = os.path.dirname(name) if name.endswith(".md") else "."
            for path in re.findall(r"\]\(([\w./-]+)[#)]", text) if name.endswith(".md") else []:
                self.assertTrue(os.path.exists(f"{HERE}/../{folder}/{path}"), f"{name}: {path}")
            for path in re.findall(r"(?<![\w/])(doc/[\w-]+\.md)", text):
                self.assertTrue(os.path.exists(f"{HERE}/../{path}"), f"{name}: {path}")


class Units(unittest.TestCase):
    def test_R18_started_again(self):
        """What may be well later is tried for as long as it takes; by itself systemd gives up after
        five starts in ten seconds. What would not help is not tried."""
        found = list(texts("contrib/*.service"))
        self.assertEqual(len(found), 3)
        for name, text in found:
            with self.subTest(unit=name):
                unit, service = text.split("\n[Service]\n")
                self.assertIn("\nStartLimitIntervalSec=0\n", unit)
                self.assertIn("\nRestart=on-failure\n", service)
                self.assertEqual(re.findall("^RestartPreventExitStatus=(.*)", service, re.M), ["2 78"])

    def test_R18_right_to_kill(self):
        """postsuper(1) becomes the user postfix, whom root without this right cannot signal."""
        (_, text), = texts("contrib/mailhooks-queue.service")
        rights = re.search("^CapabilityBoundingSet=(.*)", text, re.M)[1].split()
        self.assertIn("CAP_KILL", rights)


if __name__ == "__main__":
    unittest.main()
