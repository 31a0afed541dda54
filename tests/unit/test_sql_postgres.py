#!/usr/bin/python3
"""test_sql_postgres.py SQL_SHELL [QUERIES] - the same queries give the same rows from our store, on
SQLite and on Redis, and from a real PostgreSQL.

PostgreSQL runs as a user without rights, in a folder of its own, on a unix socket only. The queries
are those of sql_queries.py: a list, and QUERIES (default 150; a few thousand are worth an
minute now and then) made from a grammar. Windows end five
minutes away from every attempt, so that the moment at which an engine says now() does not count.
Exit status 77: there is no PostgreSQL to compare with."""
import datetime
import glob
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zoneinfo

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import sql_queries  # noqa: E402

SKIP = 77
END, FIELD, NULL = "\x1e", "\x1f", "\x05"
ZONES = ["Europe/London", "Asia/Kolkata", "America/New_York", "UTC"]

SCHEMA = """
CREATE SCHEMA outqueue;
SET search_path = outqueue;
CREATE TABLE outqueue.sendattempts(server text, address text, domain text, provider text,
  starttime timestamptz, result text, queueid text, sender text, recipients text, stage text,
  tls text, connection text, delay integer);
"""


def quiet_zone():
    """One where it is not about to be midnight, nor a change to summer time within a week."""
    now = time.time()
    for name in ZONES:
        try:
            zone = zoneinfo.ZoneInfo(name)
        except zoneinfo.ZoneInfoNotFoundError:
            continue
        times = [datetime.datetime.fromtimestamp(now + day * 86400, zone) for day in range(-8, 9)]
        if 1 <= times[8].hour <= 21 and len({t.utcoffset() for t in times}) == 1:
            return name
    return "UTC"


class Postgres:
    """A server of our own."""

    def __init__(self, folder, zone):
        self.folder = folder
        self.environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": zone}
        binaries = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        self.binaries = binaries[-1] if binaries else ""
        self.server = None
        self.user = self.demote = None
        if os.getuid() == 0:
            self.user = pwd.getpwnam("nobody")
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)

    def installed(self):
        return os.path.exists(f"{self.binaries}/initdb") and shutil.which("psql") is not None

    def run(self, *arguments, **options):
        if self.user:
            options.update(user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[])
        return subprocess.Popen(arguments, env=self.environment, cwd=self.folder, **options)

    def start(self, zone):
        data = f"{self.folder}/data"
        if self.run(f"{self.binaries}/initdb", "-D", data, "-U", "test", "--no-sync", "--locale=C",
                    "--encoding=UTF8", "-A", "trust", stdout=subprocess.DEVNULL).wait() != 0:
            sys.exit("initdb failed")
        log = open(f"{self.folder}/log", "wb")
        self.server = self.run(
            f"{self.binaries}/postgres", "-D", data, "-k", self.folder, "-h", "", "-F",
            "-c", f"timezone={zone}", "-c", "shared_buffers=16MB", "-c", "max_connections=5",
            "-c", "autovacuum=off", stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + 30
        while self.ask(["SELECT 1"])[0].startswith("!"):
            if time.monotonic() > deadline or self.server.poll() is not None:
                sys.exit("PostgreSQL does not start:\n" + open(f"{self.folder}/log").read())
            time.sleep(0.1)

    def psql(self, script):
        """Output of psql, errors in between; without a server they are all of it."""
        client = self.run("psql", "-X", "-q", "-A", "-h", self.folder, "-U", "test", "-d",
                          "postgres", "-P", "footer=off", "-P", f"null={NULL}", "-F", FIELD,
                          "-v", "VERBOSITY=terse", "-v", "ON_ERROR_STOP=0", text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return client.communicate(script)[0]

    def ask(self, queries):
        out = self.psql("SET search_path = outqueue;\n" + "".join(
            f"\\echo {END}\n{query};\n" for query in queries))
        answers = [part.strip("\n") for part in out.split(f"{END}\n")[1:]]
        if len(answers) != len(queries):
            return [f"!{out}"] * len(queries)
        return ["!" + a if a.startswith(("ERROR", "psql:", "FATAL")) or "\nERROR" in a else a
                for a in answers]

    def stop(self):
        if self.server and self.server.poll() is None:
            self.server.send_signal(signal.SIGINT)
            self.server.wait(30)


def load(postgres, attempts):
    """Empty names are unknown, and NULL."""
    lines = []
    for a in attempts:
        values = list(a)
        stamp = datetime.datetime.fromtimestamp(a[4] / 1000, datetime.timezone.utc)
        values[4] = stamp.isoformat(sep=" ", timespec="milliseconds")
        lines.append("\t".join("\\N" if i < 4 and v == "" else str(v).replace("\\", "\\\\")
                               for i, v in enumerate(values)))
    out = postgres.psql(SCHEMA + "COPY outqueue.sendattempts FROM STDIN;\n"
                        + "\n".join(lines) + "\n\\.\n")
    if out:
        sys.exit(f"the attempts were not loaded: {out}")


def ours(shell, url, attempts, queries, zone):
    environment = dict(os.environ, TZ=zone)
    done = subprocess.run([shell, url, attempts], input="\n".join(queries) + "\n", text=True,
                          stdout=subprocess.PIPE, env=environment, check=True)
    return [part.strip("\n") for part in done.stdout.split(f"{END}\n")[:-1]]


def cells_agree(mine, theirs):
    if mine == theirs:
        return True
    try:  # numbers that are no integers may have other digits
        a, b = float(mine), float(theirs)
    except ValueError:
        return False
    return ("." in theirs or "e" in theirs) and abs(a - b) <= 1e-9 * max(1, abs(b))


def agree(query, mine, theirs):
    if mine.startswith("!") or theirs.startswith("!"):
        return mine.startswith("!") == theirs.startswith("!")
    a = [line.split(FIELD) for line in mine.split("\n")]
    b = [line.split(FIELD) for line in theirs.split("\n")]
    if "order by" not in query.lower():
        a[1:], b[1:] = sorted(a[1:]), sorted(b[1:])
    return a[0] == b[0] and len(a) == len(b) and all(
        len(x) == len(y) and all(map(cells_agree, x, y)) for x, y in zip(a, b))


class Redis:
    """A server of our own on a unix socket, if there is one."""

    def __init__(self, folder):
        self.url = f"redis+unix://{folder}/redis.sock"
        self.server = None
        if shutil.which("redis-server"):
            self.server = subprocess.Popen(
                ["redis-server", "--port", "0", "--unixsocket", f"{folder}/redis.sock", "--dir",
                 folder, "--save", ""], stdout=subprocess.DEVNULL)
            deadline = time.monotonic() + 20
            while not os.path.exists(f"{folder}/redis.sock") and time.monotonic() < deadline:
                time.sleep(0.05)

    def stop(self):
        if self.server:
            self.server.kill()
            self.server.wait()


def compare(shell, folder, postgres, queries, zone):
    """The number of differences, each shown."""
    attempts = sql_queries.attempts(int(time.time() * 1000))
    path = f"{folder}/attempts"
    with open(path, "w", encoding="utf-8") as file:
        file.writelines("\t".join(map(str, a)) + "\n" for a in attempts)
    load(postgres, attempts)
    right = postgres.ask(queries)
    redis = Redis(folder)
    try:
        engines = {"sqlite": f"sqlite:{folder}/store.db"}
        if redis.server:
            engines["redis"] = redis.url
        wrong = 0
        for name, url in engines.items():
            mine = ours(shell, url, path, queries, zone)
            if len(mine) != len(queries):
                sys.exit(f"{name}: {len(mine)} answers to {len(queries)} queries")
            for query, a, b in zip(queries, mine, right):
                if not agree(query, a, b):
                    wrong += 1
                    print(f"{name}: {query}\n  ours:       {a!r}\n  PostgreSQL: {b!r}")
        refused = sum(answer.startswith("!") for answer in right)
        print(f"{len(queries)} queries on {len(engines)} engines, {refused} of them refused by "
              f"PostgreSQL, {wrong} differences")
        return wrong + (len(queries) < 4 * refused)  # a test of errors alone would be none
    finally:
        redis.stop()


def main():
    shell = sys.argv[1]
    made = int(sys.argv[2]) if len(sys.argv) > 2 else 150
    zone = quiet_zone()
    folder = tempfile.mkdtemp(prefix="mailhooks-sql-", dir="/tmp")
    os.chmod(folder, 0o755)
    os.mkdir(f"{folder}/postgres")
    postgres = Postgres(f"{folder}/postgres", zone)
    try:
        if not postgres.installed():
            print("there is no PostgreSQL; install postgresql")
            return SKIP
        postgres.start(zone)
        queries = sql_queries.LIST + sql_queries.made(made)
        return 1 if compare(shell, folder, postgres, queries, zone) else 0
    finally:
        postgres.stop()
        shutil.rmtree(folder)


sys.exit(main())
