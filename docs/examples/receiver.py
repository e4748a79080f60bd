"""Receive one work-status update: python receiver.py PUBLIC_KEY PORT. A real receiver goes on for ever."""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from workhardening_contracts.webhook import verify_v1a

public_key, port = sys.argv[1], int(sys.argv[2])
seen: set[str] = set()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if not verify_v1a(body, dict(self.headers), public_key):
            return self.send_error(401)  # not from the program, or not fresh: no update
        update = json.loads(body)["data"]
        if self.headers["webhook-id"] not in seen:  # a delivery is repeated until it is answered
            print(json.dumps(update, indent=2), flush=True)
        seen.add(self.headers["webhook-id"])
        self.send_response(204)  # any 2xx says: taken
        return self.end_headers()


server = HTTPServer(("127.0.0.1", port), Receiver)
while not seen:
    server.handle_request()
