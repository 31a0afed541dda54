"""A certificate authority of our own: certificates that are right, of another name, expired."""

import hashlib
import ssl

from rig import machine

CONFIG = """\
[ca]
default_ca = ours
[ours]
database = {directory}/index
serial = {directory}/serial
new_certs_dir = {directory}
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
"""


class Authority:
    """.certificate is what clients trust."""

    def __init__(self):
        self.directory = machine.new_directory("authority")
        self.certificate = self.directory / "ca.pem"
        (self.directory / "index").touch()
        (self.directory / "serial").write_text("01\n")
        (self.directory / "conf").write_text(CONFIG.format(directory=self.directory))
        self.new_key("ca", "req", "-x509", "-days", "30", "-out", self.certificate,
                     "-addext", "basicConstraints=critical,CA:TRUE")

    def new_key(self, name, command, *arguments):
        machine.run("openssl", command, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-subj", f"/CN={name}", "-keyout", self.directory / f"{name}.key",
                    *arguments)

    def issue(self, name, expired=False):
        """(certificate file, key file) for this name."""
        request, out = self.directory / f"{name}.csr", self.directory / f"{name}.pem"
        self.new_key(name, "req", "-out", request, "-addext", f"subjectAltName=DNS:{name}")
        years = ("2020", "2021") if expired else ("2020", "2090")
        machine.run("openssl", "ca", "-batch", "-notext", "-config", self.directory / "conf",
                    "-cert", self.certificate, "-keyfile", self.directory / "ca.key",
                    "-startdate", years[0] + "0101000000Z", "-enddate", years[1] + "0101000000Z",
                    "-in", request, "-out", out)
        return out, self.directory / f"{name}.key"


def thumbprint(certificate, digest="sha1"):
    """In hexadecimal, as VPOP3 shows it."""
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    return hashlib.new(digest, der).hexdigest()
