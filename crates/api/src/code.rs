//! What kind of problem an answer tells: a code that stays the same whatever the words say, so that a page tells it in its own language. Invariant: each
//! code has a text of the page in each language, with no other parameters than those named here (a test compares them).

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal [$($param:literal),*],)*) => {
        /// What kind of problem it is. Its parameters are in `params`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
        pub enum Code {
            $($(#[$doc])* #[schema(rename = $name)] $code,)*
        }

        impl Code {
            /// All of them, each with the parameters that it has.
            pub const ALL: &[(Self, &'static [&'static str])] = &[$((Self::$code, &[$($param),*]),)*];

            /// As programs know it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)*
                }
            }
        }
    };
}

codes! {
    /// The name or the password of a login is wrong.
    WrongPassword = "wrong-password" [],
    /// Too many wrong passwords.
    TooManyPasswords = "too-many-passwords" ["seconds"],
    /// Nobody is proven.
    Unproven = "unproven" [],
    /// The session or token has ended.
    Ended = "ended" [],
    /// A page of another site asks, or the token of the session is missing.
    Foreign = "foreign" [],
    /// The user may not do that.
    NotAllowed = "not-allowed" ["role", "permission"],
    /// The library is not there, or not for this user.
    NoSuchLibrary = "no-such-library" [],
    /// The present password is another one.
    OtherPassword = "other-password" [],
    /// The new password is too short or too long.
    PasswordLength = "password-length" ["min", "max"],
    /// The new password is the name of the user.
    PasswordIsName = "password-is-name" [],
    /// A user without a name.
    NoName = "no-name" [],
    /// Too many ask for such a thing now.
    Busy = "busy" [],
    /// The token of the first admin was used.
    SetupUsed = "setup-used" [],
    /// Only an admin sees why.
    ForAdmins = "for-admins" [],
    /// The text is no path in a library.
    NoPath = "no-path" ["path"],
    /// Nothing is put into `.swarm`.
    OwnFolder = "own-folder" [],
    /// The library has no folder that is written.
    NoTarget = "no-target" [],
    /// The place is of a folder that is only read.
    ReadOnly = "read-only" ["path"],
    /// The library has no such file.
    NoSuchFile = "no-such-file" ["path"],
    /// The bytes are on other machines.
    NotHere = "not-here" ["path"],
    /// Something else stands there.
    OtherVersion = "other-version" [],
    /// The disk is full.
    NoRoom = "no-room" [],
    /// The bytes did not come.
    CutOff = "cut-off" [],
    /// There is no such upload.
    NoSuchUpload = "no-such-upload" [],
    /// The upload goes on elsewhere.
    UploadOffset = "upload-offset" ["offset"],
    /// Too many uploads.
    TooManyUploads = "too-many-uploads" ["n"],
    /// Too many bytes of uploads.
    UploadsTooLong = "uploads-too-long" ["bytes"],
    /// Another request goes on with the upload.
    TakenOver = "taken-over" [],
    /// The bytes are not those that the client meant.
    WrongDigest = "wrong-digest" [],
    /// The side of a conflict is still fetched.
    SideComes = "side-comes" [],
    /// The side of a conflict is too long to be shown.
    SideTooLong = "side-too-long" [],
    /// No connected peer offers the library.
    NotOffered = "not-offered" ["library"],
    /// Several libraries have the name.
    SeveralLibraries = "several-libraries" ["library"],
    /// No address of a peer.
    NoPeerAddress = "no-peer-address" [],
    /// The folder cannot be made.
    NoFolder = "no-folder" ["dir"],
    /// Another admin has to do that.
    OwnRights = "own-rights" [],
    /// Nobody proposes the user.
    NotProposed = "not-proposed" [],
    /// There is no such proposal.
    NoSuchProposal = "no-such-proposal" [],
    /// The link has ended.
    NoSuchLink = "no-such-link" [],
    /// The daemon's own fault.
    Bug = "bug" [],
    /// A file of the daemon has no such entry.
    NoEntry = "no-entry" ["what"],
    /// A file of the daemon has the entry already.
    EntryExists = "entry-exists" ["what"],
    /// A file of the daemon is not valid now.
    FileInvalid = "file-invalid" [],
    /// A file of the daemon changed meanwhile.
    FileBusy = "file-busy" [],
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;
    use swarm_daemon::{ISSUES, Told};

    use super::*;

    /// The names in braces of a text, or of its plurals.
    fn holes(text: &Value) -> BTreeSet<String> {
        let text = text.to_string();
        let is_hole = |part: &str| part.bytes().all(|letter| letter.is_ascii_lowercase());
        let parts = text.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0.to_owned()));
        parts.filter(|part| is_hole(part)).collect()
    }

    #[test]
    fn the_page_tells_each_code_in_each_language() {
        let told = Told::CODES.iter().copied();
        let codes: Vec<_> =
            Code::ALL.iter().map(|(code, params)| (code.name(), *params)).chain(told).collect();
        for language in ["en", "de"] {
            let path = format!("{}/../../web/i18n/{language}.json", env!("CARGO_MANIFEST_DIR"));
            let texts: Value = serde_json::from_slice(&std::fs::read(path).expect("texts")).expect("JSON");
            for (code, params) in &codes {
                let text = texts.get(format!("told.{code}")).unwrap_or(&Value::Null);
                assert!(!text.is_null(), "{language} has no text of {code}");
                let unknown: Vec<_> =
                    holes(text).into_iter().filter(|hole| !params.contains(&hole.as_str())).collect();
                assert!(unknown.is_empty(), "{language}: {code} has no {unknown:?}");
            }
            for issue in ISSUES {
                assert!(texts.get(format!("issue.{issue}")).is_some(), "{language} has no text of {issue}");
            }
            let keys = texts.as_object().expect("keys").keys().filter_map(|key| key.strip_prefix("told."));
            let names: BTreeSet<&str> = codes.iter().map(|(code, _)| *code).collect();
            let unused: Vec<_> = keys.filter(|key| !names.contains(key)).collect();
            assert!(unused.is_empty(), "{language}: nothing is told as {unused:?}");
        }
        let names: BTreeSet<_> = codes.iter().map(|(code, _)| code).collect();
        assert_eq!(names.len(), codes.len(), "a code has one meaning");
    }

    #[test]
    fn a_problem_tells_its_code_and_what_is_named_in_it() {
        use crate::problem::Problem;
        let problem = Problem::bad("too long").code(Code::TooManyUploads).with("n", 64);
        let told = serde_json::to_value(&problem).expect("JSON");
        assert_eq!((&told["code"], &told["params"]["n"]), (&"too-many-uploads".into(), &"64".into()));
        let without = serde_json::to_value(Problem::bad("something")).expect("JSON");
        assert!(without.get("code").is_none() && without.get("params").is_none());
    }
}
