"""libtorrent as a contender: makes a torrent, seeds it, fetches it. Nothing but the given peers is asked."""

import os
import sys
import time

import libtorrent as lt


def session(port):
    return lt.session(
        {
            "listen_interfaces": f"127.0.0.1:{port}",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "allow_multiple_connections_per_ip": True,
            # uTP yields to everything: over loopback it is a tenth as fast as TCP.
            "enable_outgoing_utp": False,
            "enable_incoming_utp": False,
            "alert_mask": 0,
        }
    )


def make(path, torrent):
    files = lt.file_storage()
    lt.add_files(files, path)
    created = lt.create_torrent(files, flags=lt.create_torrent.v1_only)
    lt.set_piece_hashes(created, os.path.dirname(path))
    with open(torrent, "wb") as out:
        out.write(lt.bencode(created.generate()))


def add(to, torrent, folder, seeding):
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(torrent)
    params.save_path = folder
    if seeding:
        params.flags |= lt.torrent_flags.seed_mode
    return to.add_torrent(params)


def seed(torrent, folder, port):
    here = session(port)
    handle = add(here, torrent, folder, True)
    while not handle.status().is_seeding:
        time.sleep(0.05)
    print("seeding at", port, flush=True)
    while True:
        time.sleep(3600)


def fetch(torrent, folder, ports):
    here = session(0)
    handle = add(here, torrent, folder, False)
    for port in ports:
        handle.connect_peer(("127.0.0.1", int(port)))
    while not handle.status().is_seeding:
        time.sleep(0.02)
    # What is still in its write queue belongs to the fetch.
    here.remove_torrent(handle)


if __name__ == "__main__":
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "make":
        make(*arguments)
    elif command == "seed":
        seed(*arguments)
    elif command == "fetch":
        fetch(arguments[0], arguments[1], arguments[2:])
    else:
        sys.exit(f"unknown command {command}")
