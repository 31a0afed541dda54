"""mailhooks-policy that hangs (SIGSTOP): deliveries wait or are deferred, and nothing is lost. Postfix
waits 100 s for a socketmap and Sendmail 30 s, which no parameter changes; the tests look at mail while
they wait."""

import pathlib
import signal
import threading

from rig import machine, outbound
from rig.deciding import hosts   # noqa: F401 (fixture)
from rig.outbound import DOMAIN, HOSTS, MESSAGE
from test_outbound_sendmail import INSTALLED, M4

BOB = f"bob@{DOMAIN}"


class Stopped:
    """With the service stopped; .asked(n): n more programs are connected to its maps."""

    def __init__(self, policy):
        self.policy = policy

    def __enter__(self):
        self.policy.signal(signal.SIGSTOP)
        self.before = self.connections()
        return self

    def __exit__(self, *_):
        self.policy.signal(signal.SIGCONT)

    def connections(self):
        return pathlib.Path("/proc/net/unix").read_text().count(str(self.policy.map_socket))

    def wait_asked(self):
        machine.wait_until(lambda: self.connections() > self.before, 20, "a program that asks")


def test_postfix(hosts, make_postfix, policy):
    """R18: the delivery waits; the service goes on and so does the mail, once and nowhere else."""
    server = make_postfix(milter=None, parameters=outbound.parameters(policy, "mx", "tls", "reply"))
    policy.start(None, outbound.store(policy))
    with Stopped(policy) as stopped:
        assert server.send("ann@sender.test", BOB, MESSAGE).ok
        stopped.wait_asked()
        assert [name for name, _ in server.queue()] == ["active"]
        assert server.deliveries() == []
    assert server.wait_delivery(recipient=BOB).host == HOSTS["a"]
    server.settle()
    assert server.queue() == [] and "status=bounced" not in server.log()


def test_sendmail(hosts, make_sendmail, policy):
    """R18: the same for a client that waits for the reply to RCPT, and for mail in the queue."""
    server = make_sendmail(milter=None, extra=M4.read_text().replace(INSTALLED,
                                                                     str(policy.map_socket)))
    policy.start(None, outbound.store(policy), "outbound.holds_ms=0")
    outbound.cli(policy, "holds", "add", "domain", DOMAIN, 60)
    assert server.send("ann@sender.test", f"queued@{DOMAIN}", MESSAGE).ok
    server.settle()
    outbound.cli(policy, "holds", "release", "domain", DOMAIN)
    replies = []
    client = threading.Thread(
        target=lambda: replies.append(server.send("ann@sender.test", BOB, MESSAGE)))
    with Stopped(policy) as stopped:
        client.start()
        stopped.wait_asked()
        assert replies == [] and len(server.queue()) == 1 and server.deliveries() == []
    client.join(20)
    assert [r.ok for r in replies] == [True]
    assert server.wait_delivery(recipient=BOB).host == HOSTS["a"]
    with Stopped(policy) as stopped:
        queue_run = threading.Thread(target=server.flush)
        queue_run.start()
        stopped.wait_asked()
        assert server.deliveries(recipient=f"queued@{DOMAIN}") == [] and len(server.queue()) == 1
    queue_run.join(30)
    assert server.wait_delivery(recipient=f"queued@{DOMAIN}").host == HOSTS["a"]
    server.settle()
    assert server.queue() == []
