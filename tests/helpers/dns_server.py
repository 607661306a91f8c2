"""A real resolver on the loopback that knows a few names."""

import socket
import threading
from types import TracebackType

import dns.flags
import dns.message
import dns.rcode
import dns.reversename
import dns.rrset


class DnsServer:
    """`names` by address; who is not there has none. While `silent` nothing is answered."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = {str(dns.reversename.from_address(address)): name for address, name in names.items()}
        self.asked: list[str] = []
        """Addresses' names in in-addr.arpa and ip6.arpa, as they were asked for."""
        self.silent = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, peer = self._socket.recvfrom(4096)
            if not data:
                return
            query = dns.message.from_wire(data)
            name = str(query.question[0].name)
            self.asked.append(name)
            if self.silent:
                continue
            response = dns.message.make_response(query)
            response.flags |= dns.flags.RA
            if name in self.names:
                response.answer.append(dns.rrset.from_text(name, 300, "IN", "PTR", self.names[name]))
            else:
                response.set_rcode(dns.rcode.NXDOMAIN)
            self._socket.sendto(response.to_wire(), peer)

    def __enter__(self) -> "DnsServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()
