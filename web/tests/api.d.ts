// Shapes of /api/v1 as the page reads them, for `tsc` only: nothing here is served.

interface Me { user: string; role: Role | null; libraries: Record<string, Role>; csrf: string; can: Permission[] }
type Role = "admin" | "editor" | "viewer" | "mirror";
type Permission = "files.read" | "node.read" | "libraries.manage" | "library.read" | "library.write" | "library.manage" | "peers.manage" | "users.manage"
  | "approvals.vote" | "conflicts.resolve" | "settings.manage" | "undo";
interface NodeInfo { node: string; name: string; version: string; address: string; fingerprint: string; uptime_seconds: number; folder: string }

interface Mount { dir: string; libpath: string; sync: boolean }
interface Lock { path: string; holder: string; seconds_left: number; why: string }
interface Library {
  name: string; guid: string; state: string; percent: string; files: number; files_here: number; bytes: number; bytes_here: number;
  deletions_to_do: number; conflicts: number; conflicts_elsewhere: number; waiting: number; proposals: number; held_here: number | null; activity: string; activity_told: Told | null; mounts: Mount[];
  commits: number; eta_seconds: number | null; policy_differences: string[]; policy: PolicyStatus | null; locks: Lock[];
  limit_up: number | null; limit_down: number | null; scrub_days: number; untrusted_commits: Record<string, number>;
}
interface PeerLibrary { name: string; guid: string; is_shared: boolean; is_level: boolean; percent: string; activity: string; deletions_to_do: number }
interface Peer {
  address: string; node: string | null; name: string; trust: string; connected: boolean; trouble: string | null; trouble_told: Told | null; user: string | null;
  told_by: string[]; received: number; sent: number; libraries: PeerLibrary[];
  round_trip_us: number | null; last_seen_ms: number | null; agent: string | null; protocol: string | null;
}
interface Lan { is_looking: boolean; nodes: { node: string; addresses: string[]; is_peer: boolean }[] }
interface Told { code?: string; params?: Record<string, string>; because?: Told | null }
interface FileError { guid: string; file: string; issue: string; detail: string; told: Told | null }
interface Status {
  node: string; address: string; uptime: string; uptime_seconds: number; peerSync: Record<string, Record<string, string>>; errors: FileError[];
  libraries: Library[]; peers: Peer[]; rate_down: number; rate_up: number; limit_up: number | null; limit_down: number | null; metrics: string | null; file_errors: string[]; file_warnings: string[];
}
interface PolicyStatus {
  delete: number; move: number; bulk: number | null; bulkApprovals: number; expiryDays: number; refuseByOne: boolean; isTakenOver: boolean;
}
interface Policy { delete?: number; moves?: number; bulk?: number | null; bulk_approvals?: number; expiry_days?: number; refuse_by_one?: boolean }
interface LibrarySettings {
  name: string; guid: string; subscribed: boolean; paused: boolean; priority: number; policy: Policy | null; include: string[]; exclude: string[];
  retention: { days: number | null; count: number | null; bytes: number | null }; public: "no" | "yes" | "indexed"; sealed: boolean; file: string;
}
interface Entry {
  name: string; path: string; kind: "file" | "folder" | "symlink"; len: number; modified_ns: number; blake3: string | null; sha256: string | null;
  author: string; is_disputed: boolean; is_here: boolean; is_waiting: boolean;
}
interface LinkMade { id: string; url: string; urls: string[]; expires_at_ms: number }
interface LinkLine { id: string; path: string; user: string; once: boolean; made_at_ms: number; expires_at_ms: number }
interface TreePage { entries: Entry[]; next: string | null; total: number | null }
type Supply = { state: "coming" | "failing" | "paused" | "cancelled" } | { state: "asked" | "nobody"; seconds: number } | { state: "queued"; ahead: number };
interface Dispute { path: string; versions: VersionLine[] }
interface VersionLine { author: string; seq: number; kind: string; len: number; blake3: string | null; wins: boolean }
interface Explanation {
  path: string; here: Omit<Entry, "name"> | null; versions: VersionLine[]; held_by: string[]; own_held: { id: string; needed: number } | null;
  replaced_by: string | null; conflict: string | null; place: string | null; is_left_out: boolean; is_waiting: boolean;
  supply: Supply | string | null;
}
interface Commit { id: string; author: string; seq: number; made_at_ms: number; seen_at_ms: number; records: number; counts: boolean; paths: string[] }
interface KeptVersion { run: string; number: number; path: string; kind: string; len: number; modified_ns: number }
interface Done { run: string; performed: number; refused: [string, string][]; unknown: string[]; restored: number | null; published: number }
interface Side { path: string; kind: string; hash: string | null; len: number; modified_ns: number }
interface Conflict {
  id: string; path: string; kind: string; detail: string | null; local: Side | null; remote: Side | null; first_seen_ms: number | null; decided: string | null;
}
interface Texts { local: string | null; remote: string | null; base: string | null }
interface Proposal {
  guid: string; library: string; id: string; author: string; needed: number; yes: string[]; no: [string, string][]; changes: number; deletions: number;
  paths: string[]; deleted: string[]; seen_at_ms: number; expires_at_ms: number | null; ended: string | null;
}
interface Author { node: string; commits: number; last_seen_at_ms: number; carried: number }
interface TakenBack { libraries: TakenBackIn[] }
interface TakenBackIn {
  library: string; back: number; gone: number; wanted_len: number; paths: { path: string; from: string; to: string; is_here: boolean }[]; refused: [string, string][];
}
interface Verified { files: number; len: number; bad: string[]; changed: number; unreadable: [string, string][]; is_cut_off: boolean }
interface User { user: string; role: Role | null; libraries: Record<string, Role> }
interface ProposedUser { name: string; role: Role; by: string }
interface Settings { config: Record<string, any>; file: string; needs_restart: string[] }

type TransferState = "fetching" | "opening" | "queued" | "failing" | "paused" | "cancelled" | "done";
type SlowReason = { reason: "paused" | "cancelled" | "library_paused" | "no_rate" | "choked" | "stalled" | "disk" | "one_peer" } | { reason: "queued"; ahead: number }
  | { reason: "asked" | "nobody"; seconds: number } | { reason: "limited"; bytes_per_sec: number; of_library: boolean } | { reason: "failing"; detail: string }
  | { reason: "refused"; node: string };
interface Transfer {
  id: string; library: string; library_name: string; kind: "library" | "ticket"; path: string; files: number; renamed: number; bytes: number; bytes_here: number; bytes_coming: number; chunks: number;
  chunks_here: number; state: TransferState; priority: "low" | "normal" | "high"; rate: number; eta_seconds: number | null; why: SlowReason | null; peers: number;
}
interface FetchView {
  id: string | null; content: string; name: string | null; bytes: number | null; files: number | null; listed: { path: string; bytes: number }[]; signers: string[]; sources: number;
}
interface TransferList { transfers: Transfer[]; further: number }
interface TransferSource {
  node: string; rate: number; bytes_asked: number; chunks: number; is_choked: boolean; is_stalled: boolean; has: number[]; asked: number[];
}
interface TransferDetail extends Transfer { here: number[]; sources: TransferSource[]; further_sources: number }

interface VNode { tag: string; props: Record<string, any>; children: VNode[]; key: any; text: string; el: Node | null }
type Child = VNode | string | number | null | undefined | false | Child[];
