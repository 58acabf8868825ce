// What is in sight once a view shows what it is there for.

export const SHOWN = {
  overview: ".library-card", files: ".row .file-name", file: ".preview pre", picture: ".preview img", frames: ".row .file-name", peers: ".peer-card", transfers: ".transfer", conflicts: ".conflict", approvals: ".proposal",
  changes: ".log-line", users: ".line-list li", settings: ".setting",
};
