"""What Postfix and Sendmail have in common for a test: the interface of the `mta` fixture."""

import re
import weakref

from rig import machine, smtp

LOCAL_HUB = "127.0.0.30"   # the sink's address for mail to users of the MTA itself
USER, PASSWORD = "user1", "secret"


class Mta:
    """A running mail server. Ports: .port with the filter, .plain_port without it, the control for
    "byte for byte". Mail goes to the sink; .deliveries() are this server's only."""

    name = hostname = None   # "postfix", "mail.test"; set by the subclass

    def __init__(self, sink, port):
        self.sink = sink
        self.port, self.plain_port = port, port + 1
        self.clients = weakref.WeakSet()

    @property
    def login(self):
        """User and password for AUTH: c.auth_plain(*mta.login)."""
        return f"{USER}@{self.hostname}", PASSWORD

    # sending

    def client(self, *, plain=False, host="127.0.0.1", hello=True, **options):
        """A connection, after EHLO. plain: to the port without the filter. hello=False: after the
        banner only. Options are those of smtp.Client; source= is the client's address, any of
        127.0.0.0/8, 192.0.2.0/24, 198.51.100.0/24 and 203.0.113.0/24 (not trusted to relay)."""
        c = smtp.Client(host, self.plain_port if plain else self.port, **options)
        self.clients.add(c)
        if hello:
            c.ehlo()
        return c

    def send(self, sender, recipients, message, **options):
        """One message in a session of its own; returns the first refusal or the last reply."""
        with self.client(**options) as c:
            return c.send(sender, recipients, message)

    # what came of it

    def deliveries(self, **wanted):
        """What the world has got from this server so far; see sink.Sink.deliveries."""
        return self.sink.deliveries(helo=self.hostname, **wanted)

    def wait_deliveries(self, count, timeout=20, **wanted):
        return self.sink.wait(count, timeout, helo=self.hostname, **wanted)

    def wait_delivery(self, timeout=20, **wanted):
        """The one message that fits; a second one is an error."""
        found = self.wait_deliveries(1, timeout, **wanted)
        assert len(found) == 1, found
        return found[0]

    def settle(self, timeout=20):
        """Waits until the server has nothing to do: what is not delivered now is deferred, held
        or gone. Sessions that the test has open may stay."""
        machine.wait_until(self.is_idle, timeout,
                           lambda: f"{self.name} to come to rest; queue: {self.queue()}")

    def log(self):
        """What the server logged since the test began."""
        raise NotImplementedError

    def wait_log(self, pattern, timeout=10):
        """Waits for a line that the regular expression finds; returns the match."""
        return machine.wait_until(lambda: re.search(pattern, self.log(), re.M), timeout,
                                  f"{pattern!r} in the log of {self.name}")

    def queue(self):
        """Messages in the queue as (queue, id): queue is active, deferred or hold."""
        raise NotImplementedError

    def is_idle(self):
        raise NotImplementedError

    # between tests

    def begin_test(self):
        raise NotImplementedError

    def end_test(self):
        """Leaves nothing to the next test."""
        for c in list(self.clients):
            c.close()
        self.sink.release()
        self.settle()
        self.purge()

    def purge(self):
        """Empties the queue."""
        raise NotImplementedError

    def stop(self):
        raise NotImplementedError
