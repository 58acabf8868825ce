/** What kind of trouble an error is; the command `swarm` has an exit code for each. A later version may have more. */
export type Category =
  | "usage" | "no_source" | "target_differs" | "integrity" | "disk" | "denied" | "no_node" | "held" | "interrupted" | "partial" | "undecided" | "other";

export class SwarmError extends Error {
  constructor(category: Category, message: string, options?: { cause?: unknown });
  readonly category: Category;
  /** The exit code of the command for this category. */
  readonly code: number;
  static from(thrown: unknown, otherwise?: Category): SwarmError;
}

/** Contents and nodes are named by 64 hex digits. */
export type Id = string;

export interface FileInfo {
  /** Relative, with slashes. */
  path: string;
  /** In bytes. */
  len: number;
}

export interface FetchOptions {
  /** More nodes that may have the content, as `NODEID@host:port`. */
  sources?: string[];
  /** How long a fetch without progress waits for a source. Default: one minute. */
  patienceMs?: number;
  /** At most four times a second. */
  onProgress?: (progress: Progress) => void;
  /** Cancels the fetch. What is verified is kept. */
  signal?: AbortSignal;
}

export interface ContentStatus {
  content: Id;
  /** For people; empty until the manifest is known. */
  name: string;
  phase: "connecting" | "manifest" | "opening" | "fetching" | "finishing" | "complete" | "failed" | "paused" | "seeding";
  /** 0 until the manifest is known. */
  totalLen: number;
  /** Bytes whose hash was checked. */
  verifiedLen: number;
  /** Bytes that a crash does not take. */
  durableLen: number;
  /** Bytes that came, also those that came twice. */
  receivedLen: number;
  /** Received in a second, over the last two. */
  bytesPerSec: number;
  files: FileInfo[];
}

export type Progress = ContentStatus;

export interface PeerStatus {
  node: Id;
  isLinked: boolean;
  rttMs: number;
  receivedPerSec: number;
  receivedLen: number;
  sentLen: number;
}

export interface NodeStatus {
  id: Id;
  version: string;
  contents: ContentStatus[];
  peers: PeerStatus[];
}

export interface ContentState {
  content: Id;
  phase: "fetching" | "seeding" | "complete" | "paused" | "failed";
  name: string;
  files: FileInfo[];
}

export interface StoredContent {
  content: Id;
  name: string;
  files: FileInfo[];
  isFinished: boolean;
}

/** A file of a complete content: on a page `file`, for a download link without a copy in memory; in Node.js `location`, its absolute path. */
export interface SavedFile extends FileInfo {
  file?: File;
  location?: string;
}

/** An attempt to reach a node. `transport` is empty where the address itself did not answer. */
export interface TransportEvent {
  kind: "transport";
  node: Id;
  transport: string;
  address: string;
  outcome: "open" | "failed" | "skipped";
  /** For people; empty if it is open. */
  reason: string;
}

export type SwarmEvent =
  | ({ kind: "progress" } & NodeStatus)
  | { kind: "indexing"; path: string; doneLen: number; totalLen: number }
  | { kind: "peerJoined"; node: Id; agent: string }
  | { kind: "peerLost" | "peerBanned"; node: Id; reason: string }
  | { kind: "completed"; content: Id; name: string; files: FileInfo[] }
  | { kind: "failed"; content: Id; category: Category; code: number; message: string }
  | { kind: "left"; content: Id }
  | TransportEvent;

export type SwarmEventOf<K> = K extends "event" ? SwarmEvent : Extract<SwarmEvent, { kind: K }>;

export interface Fetching {
  readonly content: Id;
  /** The last progress. */
  readonly progress: Progress | null;
  /** Fulfilled when every byte is verified and stored; rejected with a `SwarmError`. */
  readonly done: Promise<ContentState>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Ends the fetch. What is verified stays in the storage: a later fetch goes on from there. */
  cancel(): Promise<void>;
}

export interface StartOptions {
  /** `opfs` (default), `memory`, or the URL of a module whose default export is `({folder}) => Storage`. */
  storage?: "opfs" | "memory" | string | URL;
  /** In the order in which they are tried: `webtransport`, `websocket`, or URLs of modules whose default export is `() => Transport`. */
  transports?: ("webtransport" | "websocket" | string | URL)[];
  /** Where `swarm_web_bg.wasm` is. Default: beside this package. */
  wasmUrl?: string | URL;
  /** Where `worker.js` is; of the page's own origin. Default: beside this package. */
  workerUrl?: string | URL;
  /** Names storage and key: pages with different names are different nodes. Default: `swarm`. */
  folder?: string;
  /** Asks the browser not to remove what is stored when room is short. Some browsers ask the visitor. */
  persist?: boolean;
}

export type SeedFile = File | { path: string; file: Blob };

export class Swarm {
  /** Starts a node. A site has one with the storage `opfs` at a time: a second tab gets an error of the category `held`. */
  static start(options?: StartOptions): Promise<Swarm>;
  /** The public key of this node. */
  readonly id: Id;
  /** Calls a function for each event of this kind, or with `event` for all. Returns a function that ends that. */
  on<K extends SwarmEvent["kind"] | "event">(kind: K, listener: (event: SwarmEventOf<K>) => void): () => void;
  /** Fetches what a ticket names, and serves what is there of it. Goes on where an earlier fetch ended. */
  fetch(ticket: string, options?: FetchOptions): Promise<Fetching>;
  /** Serves files that the visitor picked, for as long as the page is open. */
  seed(files: Iterable<SeedFile>, options?: { addresses?: string[] }): Promise<{ content: Id; ticket: string }>;
  /** A ticket for a content that names this node at these addresses, and these nodes (`NODEID@host:port`). */
  ticket(content: Id, options?: { addresses?: string[]; sources?: string[] }): Promise<string>;
  status(): Promise<NodeStatus>;
  /** Stops fetching and serving; what is stored stays. */
  pause(content: Id): Promise<void>;
  resume(content: Id): Promise<void>;
  /** Takes no part in a content any more, and removes what only the storage has of it, unless `keep` is set. */
  leave(content: Id, options?: { keep?: boolean }): Promise<void>;
  /** What the storage has, also of earlier runs. */
  stored(): Promise<StoredContent[]>;
  /** The files of a complete content. */
  save(content: Id): Promise<SavedFile[]>;
  /** Makes durable what is verified, and ends the node. */
  close(): Promise<void>;
}

// Interfaces for others to implement.

/** A way to reach nodes. */
export interface Transport {
  readonly name: string;
  /** `true`, or why it cannot be used there. */
  canDial(target: DialTarget): true | string;
  /** Opens a channel, or rejects with an error whose message says why not. */
  dial(target: DialTarget, signal: AbortSignal): Promise<Channel>;
}

export interface DialTarget {
  /** Who is to be there. The engine has it proved: a transport need not. */
  node: Id;
  /** `host:port`. */
  address: string;
  /** Whether the address answers by https. */
  isSecure: boolean;
  /** SHA-256 of the node's certificates for WebTransport, the one in use first. Empty: it has none. */
  certificateHashes: string[];
  /** Asks the node again. */
  refresh(): Promise<string[]>;
}

/** Messages of at most 65535 bytes each way, whole and in order. */
export interface Channel {
  /** The 32 bytes of the certificate's hash, if the channel is encrypted to exactly that certificate. Otherwise null: the engine encrypts. */
  readonly certificateHash: Uint8Array | null;
  /** The engine sets it at once when `dial` is fulfilled; a message before that is lost. A message belongs to the engine once it is given. */
  onmessage: (message: Uint8Array<ArrayBuffer>) => void;
  /** Called once, after the last message; not after `close`. */
  onclose: (reason: string) => void;
  /** The message may change once this returns. `onSent` is called, later, when it has left this machine as far as is known. */
  send(message: Uint8Array, onSent: () => void): void;
  /** Closes after what was sent. */
  close(reason: string): void;
  /** Stops reading from the network, if it can. Messages that come all the same are held by the engine. */
  pause?(): void;
  resume?(): void;
}

/**
 * Where contents are kept. For one content the engine awaits each call before the next. What is thrown ends the fetch: a `SwarmError` with words
 * that say what to do.
 */
export interface Storage {
  /** Opens a content, new or known. The record is what the last flush was given; empty if there was none, or if bytes have been lost since. */
  open(content: Id, name: string, files: FileInfo[]): Promise<{ record: Uint8Array }>;
  /** `bytes` is valid until this returns: a storage that writes later copies them first. Later reads see them. */
  write(content: Id, file: number, offset: number, bytes: Uint8Array): void | Promise<void>;
  /** All of the bytes, or null. */
  read(content: Id, file: number, offset: number, len: number): Promise<Uint8Array | null>;
  /** Makes durable what was written, and after that the record. */
  flush(content: Id, record: Uint8Array): Promise<void>;
  /** Every byte is durable: the files get their names. Reads go on. */
  finish(content: Id): Promise<void>;
  /** Closes a content that was opened, or whose opening failed; it may be opened again. Nothing is removed. */
  close(content: Id): Promise<void>;
  /** Removes what is stored of a content, which is closed. Files that `finish` gave to a person's folder stay. */
  forget(content: Id): Promise<void>;
  list(): Promise<StoredContent[]>;
  /** The files of a finished content, which may be closed. */
  files(content: Id): Promise<SavedFile[]>;
  /** The node has stopped. */
  end?(): Promise<void>;
}

/** A file to be seeded. */
export interface SeedSource extends FileInfo {
  /** All of the bytes, or null. */
  read(offset: number, len: number): Promise<Uint8Array | null>;
}
