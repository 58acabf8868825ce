//! JSON schemas of the files, for editors and for people.

use schemars::schema_for;

use crate::FileName;
use crate::config::FileConfig;
use crate::files_local::FileFilesLocal;
use crate::libraries::FileLibraries;
use crate::peers::FilePeers;
use crate::subscriptions::FileSubscriptions;
use crate::users::FileUsers;

/// The JSON schema of a file. Unknown keys are allowed, as the daemon allows them with a warning.
pub fn schema(file: FileName) -> serde_json::Value {
    let schema = match file {
        FileName::Config => schema_for!(FileConfig),
        FileName::Peers => schema_for!(FilePeers),
        FileName::Users => schema_for!(FileUsers),
        FileName::Libraries => schema_for!(FileLibraries),
        FileName::Subscriptions => schema_for!(FileSubscriptions),
        FileName::FilesLocal => schema_for!(FileFilesLocal),
    };
    schema.to_value()
}
