"""Queries and attempts for the comparison with PostgreSQL."""
import random

MINUTE = 60000
SERVERS = ["mx1.example.com", "mx2.example.com", "mx3.example.net", "mail.example.org", ""]
DOMAINS = ["example.com", "example.net", "b\u00fccher.example", ""]
RESULTS = ["250 2.0.0 ok", "451 4.7.1 try later", "421 too many", "450 4.2.0 grey 100%", "550 no_such",
           "554 5.7.1 sp\u00e4m", "4x strange", "", "lost connection"]


def attempts(now):
    """Each lies between two multiples of ten minutes before now."""
    rng = random.Random(1)
    rows = []
    for i in range(240):
        back = rng.choice([0, 0, 1, 1, 2, 3, 5, 8, 20, 140, 800])
        stamp = now - back * 10 * MINUTE - 5 * MINUTE - rng.randrange(2000)
        server = rng.choice(SERVERS)
        rows.append((server, "192.0.2.%d" % rng.randrange(3) if server else "",
                     rng.choice(DOMAINS), server.split(".", 1)[1] if server else "", stamp,
                     rng.choice(RESULTS), f"4XyZ{i:05d}", f"user{i % 7}@example.org",
                     " ".join(f"r{k}@example.com" for k in range(rng.randrange(3))),
                     rng.choice(["connect", "mail", "rcpt", "data"]), rng.choice(["", "TLSv1.3"]),
                     str(rng.randrange(4)), rng.randrange(0, 5000, 7)))
    return rows


LIST = """
SELECT COUNT(*) AS cnt FROM outqueue.sendattempts WHERE server='mx1.example.com' AND starttime > CURRENT_TIMESTAMP + '-10 MINUTES' AND LEFT(result, 1) = '4'
SELECT count(*) FROM outqueue.sendattempts WHERE starttime >= now() - interval '20 minutes' AND result LIKE '4%'
SELECT count(1) FROM sendattempts WHERE '4' = left(result, 1) AND domain = 'example.com'
SELECT count(*) FROM sendattempts WHERE server = 'nobody.example'
SELECT count(*) FROM sendattempts WHERE left(result, 2) = '45' AND now() - interval '1 hour' < starttime AND starttime <= now()
SELECT count(*) FROM sendattempts WHERE left(result, 3) = '4x '
SELECT count(*) FROM sendattempts WHERE left(result, 2) = '4x'
SELECT count(*) FROM sendattempts WHERE substring(result, 1, 1) = '5' OR substring(result from 1 for 1) = '2'
SELECT count(*) FROM sendattempts WHERE result LIKE '45_ %' AND result NOT LIKE '%grey%'
SELECT count(*) FROM sendattempts WHERE result LIKE '%100\\%' OR result LIKE '%no\\_such'
SELECT count(*) FROM sendattempts WHERE result LIKE '%100#%' ESCAPE '#'
SELECT count(*) FROM sendattempts WHERE result LIKE 'x\\'
SELECT count(*) FROM sendattempts WHERE result ILIKE '%GREY%'
SELECT count(*) FROM sendattempts WHERE server = 'x'' OR ''1''=''1'
SELECT server, count(*) FROM sendattempts GROUP BY server ORDER BY server
SELECT server, count(*) FROM sendattempts GROUP BY server ORDER BY server DESC
SELECT server AS s, count(*) AS n FROM sendattempts GROUP BY s HAVING count(*) > 10 ORDER BY n DESC, s
SELECT left(result, 1), count(*) FROM sendattempts GROUP BY left(result, 1) ORDER BY 1
SELECT left(result, 1) AS c, count(DISTINCT server), min(delay), max(delay), sum(delay), round(avg(delay), 3) FROM sendattempts GROUP BY 1 ORDER BY c NULLS FIRST
SELECT DISTINCT stage, tls FROM sendattempts ORDER BY stage, tls DESC
SELECT DISTINCT left(result, 1) FROM sendattempts ORDER BY left(result, 1)
SELECT DISTINCT stage FROM sendattempts ORDER BY delay
SELECT * FROM sendattempts ORDER BY queueid LIMIT 5
SELECT s.*, s.queueid FROM sendattempts s ORDER BY s.queueid OFFSET 3 LIMIT 2
SELECT queueid FROM outqueue.sendattempts AS "S" WHERE "S".delay BETWEEN 10 AND 300 ORDER BY queueid
SELECT queueid FROM sendattempts WHERE delay NOT BETWEEN 10 AND 4000 AND server IN ('mx1.example.com', 'mx2.example.com') ORDER BY 1
SELECT queueid FROM sendattempts WHERE server NOT IN ('mx1.example.com') ORDER BY 1
SELECT queueid FROM sendattempts WHERE server IS NULL AND domain IS NOT NULL ORDER BY 1
SELECT count(*), count(server), count(DISTINCT domain) FROM sendattempts
SELECT count(*) FILTER (WHERE result LIKE '4%') AS four, count(*) FILTER (WHERE delay > 2500) FROM sendattempts
SELECT sum(CASE WHEN left(result, 1) = '4' THEN 1 ELSE 0 END) FROM sendattempts
SELECT CASE left(result, 1) WHEN '4' THEN 'later' WHEN '5' THEN 'never' ELSE 'done' END, count(*) FROM sendattempts GROUP BY 1 ORDER BY 1
SELECT CASE WHEN true THEN 1 WHEN false THEN 2.5 END
SELECT CASE 1 WHEN 2 THEN 'a' END
SELECT max(starttime) - min(starttime) > interval '1 day' FROM sendattempts
SELECT min(starttime), max(starttime) FROM sendattempts WHERE delay > 100000
SELECT date_trunc('day', starttime), count(*) FROM sendattempts GROUP BY 1 ORDER BY 1
SELECT starttime::date AS day, count(*) FROM sendattempts GROUP BY day ORDER BY day DESC
SELECT extract(hour FROM starttime), count(*) FROM sendattempts GROUP BY 1 ORDER BY 1
SELECT starttime, starttime::text, starttime::timestamp, extract(epoch FROM starttime), date_part('second', starttime) FROM sendattempts ORDER BY queueid LIMIT 20
SELECT date_trunc('week', starttime), date_trunc('month', starttime), date_trunc('quarter', starttime), date_trunc('year', starttime), date_trunc('minute', starttime) FROM sendattempts ORDER BY queueid LIMIT 20
SELECT extract(dow FROM starttime), extract(isodow FROM starttime), extract(doy FROM starttime), extract(week FROM starttime), extract(quarter FROM starttime), extract(month FROM starttime), extract(year FROM starttime), extract(minute FROM starttime) FROM sendattempts ORDER BY queueid LIMIT 20
SELECT count(*) FROM sendattempts WHERE starttime >= CURRENT_DATE - 1
SELECT count(*) FROM sendattempts WHERE starttime::date >= CURRENT_DATE - 1 AND starttime < 'tomorrow'
SELECT count(*) FROM sendattempts WHERE starttime > 'yesterday' AND starttime < now()
SELECT count(*) FROM sendattempts WHERE starttime BETWEEN now() - interval '1 hour' AND now()
SELECT count(*) FROM sendattempts WHERE now() - starttime < interval '10 minutes'
SELECT count(*) FROM sendattempts WHERE now() - starttime < '10 minutes'
SELECT queueid FROM sendattempts WHERE starttime > now() - interval '10' minute ORDER BY 1
SELECT timestamp '2026-02-28 23:59:59.5' + interval '1 month', timestamp '2024-01-31' + '1 mon', timestamp '2024-03-31' - interval '1 month', date '2024-02-29' + interval '1 year', date '2026-02-24' + 7, date '2026-02-24' - date '2025-12-31'
SELECT timestamp '2026-02-24 12:00' - timestamp '2026-02-23 13:00:01.5', timestamp '2026-02-24' - timestamp '2026-03-04', interval '1 day' * 3, 2 * interval '90 minutes', -interval '1 day 2 hours'
SELECT interval '1 year 2 months 3 days 04:05:06.7', interval '-1 day +02:00', interval '15', interval '1.5 hours', interval '2 weeks ago', interval '1.5 days', interval '-00:00:01', interval '0', interval '1 mon -1 day', interval '100 hours', interval '1.5 years'
SELECT interval '1 day' + interval '1 hour', interval '1 day' - interval '25 hours', interval '1 day' = interval '24 hours', interval '1 month' > interval '29 days', extract(epoch FROM interval '1 month 1 day'), extract(hour FROM interval '1 day 5 hours'), extract(epoch from interval '1 year')
SELECT interval 'nonsense'
SELECT timestamp '2026-02-30'
SELECT timestamptz '2026-02-24 12:00+02' = timestamptz '2026-02-24 10:00 UTC', '2026-02-24'::timestamptz, '2026-02-24 01:02:03.45'::timestamptz, timestamp with time zone '2026-07-24 12:00:00-05:30'
SELECT to_timestamp(1763732239), to_timestamp(0.5), to_timestamp(1763732239) + '1 hour'
SELECT CURRENT_TIMESTAMP + '15 potatoes'
SELECT CURRENT_TIMESTAMP - '15 minutes'
SELECT 7 / 2, -7 / 2, 7 % 3, -7 % 3, 7 / 2.0, 2 * 3 + 4, 2 + 3 * 4, (2 + 3) * 4, 10 - 2 - 3, - 5, + 5, 1.5 + 1, 1e3
SELECT 1 / 0
SELECT delay / (delay - delay) FROM sendattempts
SELECT count(*) FROM sendattempts WHERE delay / 2 * 2 <> delay
SELECT '5'::int, '5'::int + 1, 5::text, 5::text || 'a', 'a' || 5, 5 || 'a', '1.50'::numeric, '1.5'::float8, 2.5::int, 3.5::int, -2.5::int, 'abc'::text, 1::boolean, true::int, true::text, 't'::bool, 'off'::bool, 'nonsense'::bool
SELECT 't'::bool, 'off'::bool, 'yes'::boolean, NOT true, true AND NULL, false OR NULL, true AND false OR true
SELECT 'abc'::int
SELECT result::int FROM sendattempts
SELECT cast('12' AS integer), CAST(12 AS text), cast(now() AS date) = current_date, current_date::text = now()::date::text
SELECT left(result, 3)::int AS code, count(*) FROM sendattempts WHERE result LIKE '___ %' AND left(result, 3) NOT LIKE '%x%' GROUP BY 1 ORDER BY 1
SELECT upper('abC'), lower('AbC'), length('b\u00fccher'), char_length(''), octet_length('b\u00fccher'), left('b\u00fccher', 2), right('b\u00fccher', 5), left('abc', -1), right('abc', -1), left('abc', 9), left('abc', -9), right('abc', 0)
SELECT substring('b\u00fccher' from 2 for 3), substring('abc', 2), substr('abc', 0, 2), substr('abc', -1, 4), substring('abc' for 2), substr('abc', 2, 0)
SELECT substr('abc', 1, -1)
SELECT position('b' in 'abc'), strpos('b\u00fccher', 'cher'), strpos('abc', ''), strpos('abc', 'x'), starts_with('abc', 'ab'), replace('aaa', 'a', 'bb'), replace('abc', '', 'x'), split_part('a.b.c', '.', 2), split_part('a.b.c', '.', -1), split_part('a.b.c', '.', 4), split_part('a', '', 1)
SELECT trim('  a '), trim(both 'x' from 'xxaxx'), ltrim('  a '), rtrim(' a  '), btrim('xyaxy', 'yx'), trim(leading 'b' from 'bab'), trim(trailing from 'a  ')
SELECT concat('a', 1, NULL, true, 2.5), coalesce(NULL, 'b'), coalesce(NULL, NULL, 3), nullif(1, 1), nullif('a', 'b'), greatest(1, 3, 2), least('b', 'a', NULL), greatest(1, 2.5)
SELECT abs(-5), abs(-2.5), round(2.5), round(-2.5), round(1.005, 2), round(123.456, -1), floor(-1.5), ceil(-1.5), ceiling(1.2), mod(7, 4)
SELECT NULL = NULL, NULL IS NULL, 1 IS DISTINCT FROM NULL, 1 IS NOT DISTINCT FROM 1, NULL IS DISTINCT FROM NULL, true IS TRUE, NULL IS TRUE, NULL::bool IS UNKNOWN, false IS NOT TRUE
SELECT 'a' < 'b', 'B' < 'a', 'a' = 'a ', '' < 'a', '10' < '9', 10 < 9, 1 = 1.0
SELECT 1 = 'x'
SELECT 1 WHERE 1
SELECT 1 WHERE 'true'
SELECT result = 4 FROM sendattempts
SELECT left(result, 1) = 4 FROM sendattempts
SELECT server + 1 FROM sendattempts
SELECT server FROM sendattempts GROUP BY domain
SELECT server, count(*) FROM sendattempts
SELECT count(count(*)) FROM sendattempts
SELECT count(*) FROM sendattempts WHERE count(*) > 1
SELECT sum(server) FROM sendattempts
SELECT nothing FROM sendattempts
SELECT server FROM nowhere
SELECT a.server FROM sendattempts
SELECT nonsense(1)
SELECT left('a')
SELECT server FROM sendattempts a, sendattempts b
SELECT count(*) FROM sendattempts a, sendattempts a
SELECT count(*) FROM sendattempts a, sendattempts b WHERE a.server = b.server AND a.delay < b.delay
SELECT count(*) FROM sendattempts a JOIN sendattempts b ON a.queueid = b.queueid AND b.result LIKE '4%'
SELECT a.queueid, b.queueid FROM sendattempts a LEFT JOIN sendattempts b ON a.queueid = b.queueid AND b.delay > 4000 ORDER BY a.queueid
SELECT count(*) FROM sendattempts a CROSS JOIN (SELECT DISTINCT stage FROM sendattempts) AS b
SELECT s, n FROM (SELECT server AS s, count(*) AS n FROM sendattempts GROUP BY server) AS t WHERE n > 5 ORDER BY s
SELECT t.* FROM (SELECT server, delay * 2 AS twice FROM sendattempts) t WHERE t.twice > 9000 ORDER BY 1, 2
SELECT (SELECT count(*) FROM sendattempts), (SELECT max(delay) FROM sendattempts WHERE server = 'none')
SELECT (SELECT server FROM sendattempts)
SELECT count(*) FROM sendattempts a WHERE EXISTS (SELECT 1 FROM sendattempts b WHERE b.server = a.server AND b.delay > a.delay AND b.stage <> a.stage)
SELECT queueid FROM sendattempts a WHERE delay = (SELECT max(delay) FROM sendattempts b WHERE b.server = a.server) ORDER BY 1
SELECT count(*) FROM sendattempts WHERE server IN (SELECT server FROM sendattempts WHERE delay > 4800)
SELECT count(*) FROM sendattempts WHERE server NOT IN (SELECT server FROM sendattempts WHERE delay > 4800)
SELECT string_agg(stage, ', ') FROM sendattempts WHERE queueid = '4XyZ00007'
SELECT bool_and(delay >= 0), bool_or(delay > 100000), every(server IS NOT NULL) FROM sendattempts
SELECT 'it''s', 'a\\b', 'x"y', "stage" FROM sendattempts WHERE queueid = '4XyZ00001'
SELECT 1 AS "Mixed Case", 2 AS lower_Case, 3 x, 4 AS select
SELECT now() = CURRENT_TIMESTAMP, localtimestamp = now()::timestamp, now() - now()
SELECT 1, 'a', NULL, true, 1.5
SELECT 'a'::varchar, 1::bigint, 1::smallint, 1.5::double precision, now() IS NULL AS "x"
SELECT 1 LIMIT 0
SELECT 1 OFFSET 1
SELECT server FROM sendattempts ORDER BY delay, queueid LIMIT ALL OFFSET 200
SELECT delay AS d FROM sendattempts WHERE d > 1
SELECT delay AS d FROM sendattempts ORDER BY d + 1
SELECT stage, count(*) FROM sendattempts GROUP BY stage HAVING max(delay) > 4900 OR stage = 'rcpt' ORDER BY count(*) DESC, stage
SELECT count(*) FROM sendattempts HAVING count(*) > 100000
SELECT 9223372036854775807 + 1
SELECT 9223372036854775807
SELECT sum(delay) / count(*), sum(delay) % 7 FROM sendattempts WHERE delay < 1000
SELECT max(server), min(result), max(starttime) IS NOT NULL FROM sendattempts
SELECT ((1)), (((2 + 3)))
SELECT 1 + + 1, 1 - - 1, 2 - -3
SELECT NOT NOT true, NOT 1 = 2, 1 = 1 IS TRUE
SELECT
SELECT 1,
SELECT FROM sendattempts WHERE
SELECT * FROM
SELECT 1 2
SELECT count(*) FROM sendattempts WHERE server = 'a' 'b'
""".strip("\n").replace("\\\\", "\\").split("\n")
# PostgreSQL takes an empty list after SELECT, which nobody wants; the rest of the line counts
LIST.remove("SELECT")


class Maker:
    """Queries from a grammar: most are right, all are in the words that we understand."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def pick(self, *choices):
        return self.rng.choice(choices)

    def text(self, depth):
        if depth <= 0 or self.rng.random() < 0.4:
            return self.pick("server", "domain", "result", "stage", "sender", "queueid", "tls", "'4'",
                             "'mx1.example.com'", "'%a'", "NULL::text")
        inner = self.text(depth - 1)
        return self.pick(
            f"left({inner}, {self.pick(-2, -1, 0, 1, 2, 3, 9)})",
            f"right({inner}, {self.pick(-1, 0, 1, 4)})",
            f"upper({inner})", f"lower({inner})",
            f"substr({inner}, {self.pick(-1, 0, 1, 2, 5)}, {self.pick(0, 1, 3)})",
            f"split_part({inner}, '.', {self.pick(-1, 1, 2, 3)})",
            f"replace({inner}, 'm', {self.text(depth - 1)})",
            f"coalesce({inner}, {self.text(depth - 1)})",
            f"({inner} || {self.pick(self.text(depth - 1), self.number(depth - 1))})",
            f"btrim({inner}, 'm4.')",
            f"CASE WHEN {self.condition(depth - 1)} THEN {inner} ELSE {self.text(depth - 1)} END",
            f"({self.number(depth - 1)})::text", f"greatest({inner}, {self.text(depth - 1)})",
            f"concat({inner}, {self.number(depth - 1)}, {self.condition(depth - 1)})")

    def number(self, depth):
        if depth <= 0 or self.rng.random() < 0.4:
            return self.pick("delay", "0", "1", "7", "1000", "NULL::int")
        a, b = self.number(depth - 1), self.number(depth - 1)
        return self.pick(
            f"({a} + {b})", f"({a} - {b})", f"({a} * 3)", f"({a} / {b})", f"({a} % {b})",
            f"-{a}" if not a.startswith("-") else a, f"abs({a})", f"length({self.text(depth - 1)})",
            f"strpos({self.text(depth - 1)}, 'm')", f"nullif({a}, {b})", f"least({a}, {b})",
            f"coalesce({a}, {b})", f"CASE WHEN {self.condition(depth - 1)} THEN {a} ELSE {b} END",
            f"extract(dow from {self.time(depth - 1)})::int")

    def time(self, depth):
        span = self.pick("'10 minutes'", "'1 hour'", "'1 day'", "'-20 minutes'", "'2 days 1 hour'")
        base = self.pick("starttime", "now()", "CURRENT_TIMESTAMP")
        if depth <= 0 or self.rng.random() < 0.5:
            return base
        return self.pick(f"({self.time(depth - 1)} + interval {span})",
                         f"({self.time(depth - 1)} - interval {span})", f"({base} + {span})",
                         f"date_trunc('{self.pick('day', 'month', 'year')}', {base})")

    def condition(self, depth):
        if depth > 0 and self.rng.random() < 0.5:
            a, b = self.condition(depth - 1), self.condition(depth - 1)
            return self.pick(f"({a} AND {b})", f"({a} OR {b})", f"NOT {a}", f"({a}) IS NOT TRUE",
                             f"({a}) IS NULL")
        compare = self.pick("=", "<>", "<", ">", "<=", ">=", "IS DISTINCT FROM")
        d = depth - 1
        window = self.pick(10, 20, 30, 60, 220, 1440, 10000)
        return self.pick(
            f"{self.text(d)} {compare} {self.text(d)}",
            f"{self.number(d)} {compare} {self.number(d)}",
            f"starttime {compare} now() - interval '{window} minutes'",
            f"starttime {compare} CURRENT_TIMESTAMP + '-{window} MINUTES'",
            f"left(result, {self.pick(1, 2, 3)}) {compare} '{self.pick(4, 45, 451, 2, 5)}'",
            f"result {self.pick('LIKE', 'NOT LIKE', 'ILIKE')} '{self.pick('4%', '45_ %', '%A%', '%', '')}'",
            f"{self.text(d)} IN ({self.text(0)}, 'mx2.example.com')",
            f"{self.number(d)} BETWEEN {self.number(0)} AND {self.number(0)}",
            f"{self.text(d)} IS {self.pick('', 'NOT ')}NULL",
            "server = 'mx1.example.com'", "domain = 'example.com'", "provider = 'example.net'")

    def value(self):
        return self.pick(self.text, self.number, self.condition)(2)

    def aggregate(self):
        return self.pick("count(*)", f"count(DISTINCT {self.text(1)})", f"sum({self.number(1)})",
                         f"min({self.value()})" if False else f"min({self.text(1)})",
                         f"max({self.number(1)})", f"count(*) FILTER (WHERE {self.condition(1)})",
                         f"round(avg({self.number(1)}), 4)", f"bool_or({self.condition(1)})")

    def query(self):
        kind = self.rng.randrange(5)
        where = f" WHERE {self.condition(2)}" if self.rng.random() < 0.8 else ""
        if kind == 0:
            return f"SELECT count(*) AS cnt FROM outqueue.sendattempts{where}"
        if kind == 1:
            return f"SELECT {self.aggregate()}, {self.aggregate()} FROM sendattempts{where}"
        if kind == 2:
            key = self.pick("server", "domain", "stage", "left(result, 1)", "delay % 5",
                            "starttime::date", "server IS NULL")
            having = self.pick("", "", f" HAVING count(*) > {self.pick(0, 3, 20)}")
            return (f"SELECT {key} AS k, {self.aggregate()} FROM sendattempts{where} GROUP BY {key}"
                    f"{having} ORDER BY k{self.pick('', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST')}")
        if kind == 3:
            return (f"SELECT queueid, {self.value()}, {self.value()} FROM sendattempts{where}"
                    f" ORDER BY {self.pick('delay', 'starttime DESC', '2', 'server, 3 DESC')}, queueid"
                    f"{self.pick('', ' LIMIT 10', ' LIMIT 7 OFFSET 4')}")
        return (f"SELECT a.queueid FROM sendattempts a WHERE a.delay "
                f"{self.pick('IN', 'NOT IN')} (SELECT {self.number(1)} FROM sendattempts{where})"
                f" ORDER BY 1")


def made(n):
    maker = Maker(20)
    return [maker.query() for _ in range(n)]
