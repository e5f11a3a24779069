# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of ribera-player's socket for scripts."""
import json, socket
import tap


class Script:
    """A client of the socket."""

    def __init__(self, path, process):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        tap.until(lambda: self.connects(path) or not process.alive(), 20, 'the socket')
        tap.check(process.alive(), process.text())
        self.file = self.socket.makefile('r')
        self.events = []

    def connects(self, path):
        try:
            self.socket.connect(path)
        except OSError:  # not there yet, or there and nobody listens yet
            return False
        return True

    def say(self, *command):
        self.socket.sendall(json.dumps({'command': command, 'request_id': 7}).encode() + b'\n')
        while True:
            line = json.loads(self.file.readline())
            if 'event' not in line:
                tap.equal(line['request_id'], 7)
                return line
            self.events.append(line)

    def get(self, name):
        return self.say('get_property', name)['data']
