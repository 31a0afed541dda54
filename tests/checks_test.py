#!/usr/bin/python3
"""The checks find what they are for: each gets small trees with one thing wrong."""
import os
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


def run(check, files, compiler="none"):
    """Exit status and output of a check on a tree of these files (name -> text)."""
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            os.makedirs(os.path.dirname(f"{root}/{name}"), exist_ok=True)
            with open(f"{root}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        done = subprocess.run([f"{HERE}/{check}", root], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False,
                              env={**os.environ, "CC": compiler})
        return done.returncode, done.stdout


class Forbidden(unittest.TestCase):
    def finds(self, text, line, name="common/x.c"):
        status, out = run("check-forbidden", {name: text})
        self.assertEqual(status, 1, out)
        self.assertIn(f"{name}:{line}: ", out)

    def passes(self, text, name="common/x.c"):
        status, out = run("check-forbidden", {name: text})
        self.assertEqual((status, out), (0, ""))

    def test_R1_calls(self):
        for call in ("system", "popen", "strcpy", "strcat", "sprintf", "vsprintf", "gets",
                     "tmpnam", "mktemp", "alloca", "assert"):
            with self.subTest(call=call):
                self.finds(f"int f(void)\n{{\n\t{call} (x);\n}}\n", 3)
        self.finds("/* a comment */ int a = system(b);", 1)
        self.finds("char c = '\"'; int a = system(\"\");", 1)
        self.finds("// a \\\n system(\nint a = system(b);", 3)
        self.finds("int a = /* x */ popen(\n", 1, "tests/unit/x.c")

    def test_R1_shells_in_strings(self):
        self.finds('\nchar *a = "sh -c";', 2)
        self.finds('\nexecl("/bin/sh", x);', 2, "milter/x.c")
        self.finds('char *a = "exec /bin/bash -i";', 1)

    def test_what_may_stand(self):
        self.passes("/* never system( or\n popen( */ int a; // strcpy(b)\n")
        self.passes('char *a = "os.execute and system(1)", *b = "// \\" system(x)";')
        self.passes("int a = snprintf(b) + vsnprintf(c) + static_assert(d) + my_system(e);")
        self.passes("_Static_assert(1, \"x\"); a->gets(b); c.system(d);")
        self.passes("char *system_name; int filesystem(void); xstrcpy(a);")
        self.passes("assert(x); char *a = \"sh -c\";", "tests/unit/x.c")


class Layers(unittest.TestCase):
    good = {
        "common/a.h": "/* a.h - text */\n#pragma once\n#include <stddef.h>\nsize_t a_f(void);\n",
        "lua-bindings/private.h": "/* private.h - private to lua-bindings/: x */\n#pragma once\n"
                                  "#include <lua.h>\n",
        "lua-bindings/public.h": "/* public.h - x */\n#pragma once\n#include \"common/a.h\"\n",
        "milter/m.h": "/* m.h */\n#pragma once\n",
        "policy/p.h": "/* p.h */\n#pragma once\n",
        "tests/t.h": "/* t.h */\n#pragma once\n",
    }

    def finds(self, name, text, what, line=1):
        status, out = run("check-layers", {**self.good, name: text})
        self.assertEqual(status, 1, out)
        self.assertIn(f"{name}:{line}: ", out)
        self.assertIn(what, out)

    def passes(self, name, text):
        status, out = run("check-layers", {**self.good, name: text})
        self.assertEqual(status, 77, out)  # without a compiler

    def test_foreign_worlds_have_one_home(self):
        for header, home in (("libmilter/mfapi.h", "milter"), ("event2/event.h", "policy"),
                             ("lua.h", "lua-bindings"), ("lauxlib.h", "lua-bindings"),
                             ("lualib.h", "lua-bindings"), ("confuse.h", "common")):
            for folder in ("common", "lua-bindings", "milter", "policy", "cli"):
                text = f"\n#  include <{header}>\n"
                with self.subTest(header=header, folder=folder):
                    if folder == home:
                        self.passes(f"{folder}/x.c", text)
                    else:
                        self.finds(f"{folder}/x.c", text, f"{home}/ only", 2)
        self.passes("tests/unit/x.c", "#include <libmilter/mfapi.h>\n#include <lua.h>\n")

    def test_arrows(self):
        for folder, header in (("common", "lua-bindings/public.h"), ("common", "milter/m.h"),
                               ("lua-bindings", "milter/m.h"), ("lua-bindings", "policy/p.h"),
                               ("milter", "policy/p.h"), ("policy", "milter/m.h"),
                               ("cli", "milter/m.h"), ("common", "tests/t.h"),
                               ("milter", "tests/t.h")):
            with self.subTest(folder=folder, header=header):
                self.finds(f"{folder}/x.c", f'#include "{header}"\n', "must not include")
        for folder in ("milter", "policy", "cli"):
            self.passes(f"{folder}/x.c",
                        '#include "common/a.h"\n#include "lua-bindings/public.h"\n')
            self.finds(f"{folder}/x.c", '#include "lua-bindings/private.h"\n', "private to")
        self.passes("lua-bindings/x.c", '#include "lua-bindings/private.h"\n')
        self.passes("tests/unit/x.c", '#include "lua-bindings/private.h"\n#include "milter/m.h"\n')
        self.finds("contrib/x.c", "int x;\n", "belongs into")

    def test_how_it_is_written(self):
        self.finds("common/x.c", '#include "a.h"\n', "there is no")
        self.finds("common/x.c", "#include <common/a.h>\n", "quotes")
        self.finds("tests/unit/x.c", '#include "nothing.h"\n', "there is no")
        self.finds("lua-bindings/x.h", "/* x.h */\n#pragma once\n#include <lua.h>\n", "say \"private")
        self.finds("lua-bindings/x.h", '/* x.h */\n#pragma once\n#include "lua-bindings/private.h"\n',
                   "say \"private", 3)
        self.passes("common/x.c", '/* #include "milter/m.h" */\n// #include <lua.h>\n')

    def test_headers_compile_alone(self):
        broken = "/* b.h */\n#pragma once\nsize_t b_f(void);\n"
        status, out = run("check-layers", {**self.good, "common/b.h": broken}, "cc")
        if status == 77:
            self.skipTest(out)
        self.assertEqual(status, 1, out)
        self.assertIn("common/b.h:1: does not compile alone", out)
        self.assertEqual(run("check-layers", self.good, "cc"), (0, ""))


class Style(unittest.TestCase):
    def test_it_sees_a_wrong_format(self):
        with open(f"{HERE}/../.clang-format", encoding="utf-8") as file:
            style = file.read()
        for text, expected in (("int  a ;\n", 1), ("int a;\n", 0)):
            with tempfile.TemporaryDirectory() as root:
                for name, content in ((".clang-format", style), ("x.c", text)):
                    with open(f"{root}/{name}", "w", encoding="utf-8") as file:
                        file.write(content)
                subprocess.run(["git", "init", "-q", root], check=True)
                subprocess.run(["git", "-C", root, "add", "x.c"], check=True)
                done = subprocess.run([f"{HERE}/check-style", root], capture_output=True,
                                      text=True, check=False)
                if done.returncode == 77:
                    self.skipTest(done.stdout)
                self.assertEqual(done.returncode, expected, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
