"""A foreign node: it lists the files of a folder and gives their bytes, and knows nothing else. Usage: FOLDER GUID MODE BYTES_A_SECOND

MODE is `range`; `whole` ignores Range; `lie` gives other bytes; `change` replaces a file once while it gives it; `gone` does not have
the first file that it is asked for, once. A file whose name has `broken` in it
is listed and answered with an error.
"""
import hashlib, http.server, json, os, sys, time, urllib.parse

FOLDER, GUID, MODE, RATE = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
SERVED, CHANGED, ASKED = [0], [], []


class Node(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/served":
            return self.give(str(SERVED[0]).encode())
        if url.path == "/asked":
            return self.give("\n".join(ASKED).encode())
        if url.path == "/files":
            ASKED.extend(urllib.parse.parse_qs(url.query).get("guid", []))
        if url.path == "/files" and urllib.parse.parse_qs(url.query).get("guid") == [GUID]:
            return self.give(json.dumps(files()).encode())
        name = urllib.parse.unquote(url.path).removeprefix(f"/file/{GUID}/")
        path = os.path.join(FOLDER, name)
        if not url.path.startswith("/file/") or ".." in name or not os.path.isfile(path):
            return self.send_error(404)
        if MODE == "gone" and not CHANGED:
            CHANGED.append(path)
            return self.send_error(404)
        if "broken" in name:
            return self.send_error(500)
        self.give_file(path)

    def give(self, body):
        tag = '"%s"' % hashlib.sha256(body).hexdigest()
        same = self.headers.get("If-None-Match") == tag
        self.send_response(304 if same else 200)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", "0" if same else str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if same else body)

    def give_file(self, path):
        stat = os.stat(path)
        tag, first, last = f'"{stat.st_mtime_ns}-{stat.st_ino}"', 0, stat.st_size - 1
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range", tag)
        partial = asked and condition == tag and MODE != "whole"
        if partial:
            first, last = (int(part) for part in asked.removeprefix("bytes=").split("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{stat.st_size}")
        else:
            self.send_response(200)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        at = first
        while at <= last:
            with open(path, "rb") as file:
                file.seek(at)
                data = file.read(min(64 << 10, last + 1 - at))
            at += len(data)
            SERVED[0] += len(data)
            time.sleep(len(data) / RATE if RATE else 0)
            self.wfile.write(bytes(byte ^ 1 for byte in data) if MODE == "lie" else data)
            if MODE == "change" and not CHANGED and at > stat.st_size // 2:
                CHANGED.append(path)
                with open(path + ".new", "wb") as file:
                    file.write(b"changed" * (stat.st_size // 7) + b"!" * (stat.st_size % 7))
                os.replace(path + ".new", path)

    def log_message(self, *_):
        pass


def files():
    listed = []
    for folder, _, names in os.walk(FOLDER):
        for path in (os.path.join(folder, name) for name in sorted(names)):
            with open(path, "rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            stat = os.stat(path)
            listed.append({"path": "/" + os.path.relpath(path, FOLDER), "length": stat.st_size, "mtime": stat.st_mtime, "sha256": sha256})
    return listed


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Node)
print(server.server_address[1], flush=True)
server.serve_forever()
