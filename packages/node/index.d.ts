import type { SeedSource, Storage, Swarm as WebSwarm, Transport } from "@swarm/web";

export { SwarmError } from "@swarm/web";
export type {
  Category, Channel, ContentState, ContentStatus, DialTarget, Fetching, FetchOptions, FileInfo, Id, NodeStatus, PeerStatus, Progress, SavedFile, SeedSource,
  Storage, StoredContent, SwarmEvent, SwarmEventOf, Transport, TransportEvent,
} from "@swarm/web";

export interface StartOptions {
  /** The folder that receives files; `.swarm` in it has what is not complete. Default: the current one. */
  folder?: string;
  /** Keeps contents there instead of in a folder. `memory`: in memory. */
  storage?: "memory" | Storage;
  /** The secret key, 32 bytes. Default: a new one at each start. */
  secret?: Uint8Array;
  /** In the order in which they are tried. Default: WebSocket. */
  transports?: Transport[];
  /** Lets peers link to this node, at `host:port`; port 0 takes a free one. Default: nobody can, and this node links to others. */
  listen?: string;
  /** Sites whose pages may link (`https://example.org`). Default: any. */
  origins?: string[];
}

/** A path, whose last component is the name in the content; or the bytes of a file with its path in the content. */
export type SeedFile = string | URL | { path: string; file: string | URL } | { path: string; bytes: Uint8Array } | SeedSource;

/** Keeps contents in a folder. */
export class FsStorage implements Storage {
  /** Takes a folder for this process alone; it is made if need be. */
  static create(folder: string): Promise<FsStorage>;
  private constructor();
  open: Storage["open"];
  write: Storage["write"];
  read: Storage["read"];
  flush: Storage["flush"];
  finish: Storage["finish"];
  close: Storage["close"];
  forget: Storage["forget"];
  list: Storage["list"];
  files: Storage["files"];
  end(): Promise<void>;
}

/** Keeps contents in memory. */
export class MemoryStorage implements Storage {
  open: Storage["open"];
  write: Storage["write"];
  read: Storage["read"];
  flush: Storage["flush"];
  finish: Storage["finish"];
  close: Storage["close"];
  forget: Storage["forget"];
  list: Storage["list"];
  files: Storage["files"];
}

export class Swarm extends WebSwarm {
  // @ts-expect-error: a node in Node.js is started with other options than one on a page.
  static start(options?: StartOptions): Promise<Swarm>;
  /** Where peers reach this node, `host:port`; null if it does not listen. */
  readonly address: string | null;
  // @ts-expect-error: files are paths here.
  seed(files: Iterable<SeedFile>, options?: { addresses?: string[] }): Promise<{ content: string; ticket: string }>;
}
