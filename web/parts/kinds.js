//! What a file is, by the end of its name: which icon it has, and how it can be shown.

/** @type {Record<string, string[]>} */
const ENDINGS = {
  image: ["jpg", "jpeg", "png", "gif", "webp", "avif", "svg", "bmp", "ico"],
  video: ["mp4", "m4v", "webm", "mov", "mkv", "ogv"],
  audio: ["mp3", "m4a", "aac", "ogg", "oga", "opus", "wav", "flac"],
  text: ["txt", "md", "csv", "tsv", "json", "xml", "yaml", "yml", "toml", "ini", "log", "html", "css", "js", "ts", "rs", "py", "c", "h", "cpp", "go",
    "java", "sh", "sql", "tex", "srt", "vtt", "conf", "diff", "patch"],
};

/** @param {string} path @returns {"image" | "video" | "audio" | "text" | "file"} */
export function kindOf(path) {
  const ending = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  const found = Object.keys(ENDINGS).find((kind) => ENDINGS[kind].includes(ending));
  return /** @type {any} */ (found ?? "file");
}

/** @param {{kind: string, path: string}} entry */
export function iconOf(entry) {
  return entry.kind === "file" ? kindOf(entry.path) : entry.kind;
}
