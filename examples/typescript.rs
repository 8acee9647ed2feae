//! Prints, as JSON, the TypeScript declarations of everything that crosses between the core and JavaScript, and the numbers and
//! lists that both need. `npm run types` makes generated/ from it.

use sealed_visit_frames::codec::Codec;
use sealed_visit_protocol::consent::{CHECKLIST, Purpose};
use sealed_visit_protocol::limits;
use sealed_visit_protocol::recording::VaultAnswer;
use sealed_visit_protocol::track::RECORD_PREFIX_BYTES;
use sealed_visit_protocol::wire::{ClientMessage, RelayMessage};
use sealed_visit_visit::visit::{Input, Output};
use serde::Serialize;
use std::collections::BTreeMap;
use ts_rs::{Config, TS, TypeVisitor};

struct Declarations {
    config: Config,
    by_name: BTreeMap<String, String>,
}

impl TypeVisitor for Declarations {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // Primitives and collections have no declaration of their own.
        if T::output_path().is_none() {
            return;
        }
        let name = T::ident(&self.config);
        if self.by_name.contains_key(&name) {
            return;
        }
        let docs = T::docs().unwrap_or_default();
        let declaration = T::decl(&self.config);
        let text = format!("{docs}export {declaration}\n");
        self.by_name.insert(name, text);
        T::visit_dependencies(self);
    }
}

fn types() -> Vec<String> {
    let mut declarations = Declarations {
        // All of ours are counts, sizes and times below 2^53, and cross as JSON numbers.
        config: Config::new().with_large_int("number"),
        by_name: BTreeMap::new(),
    };
    declarations.visit::<Input>();
    declarations.visit::<Output>();
    declarations.visit::<ClientMessage>();
    declarations.visit::<RelayMessage>();
    declarations.visit::<VaultAnswer>();
    declarations.by_name.into_values().collect()
}

fn constant(docs: &str, name: &str, type_name: &str, value: &impl Serialize) -> String {
    let value = serde_json::to_string(value).unwrap_or_default();
    let annotation = match type_name {
        "" => String::new(),
        list => format!(": {list}"),
    };
    format!("/** {docs} */\nexport const {name}{annotation} = {value};\n")
}

fn constants() -> Vec<String> {
    let with_authorization: Vec<Purpose> = Purpose::ALL
        .into_iter()
        .filter(|purpose| purpose.needs_authorization())
        .collect();
    let codecs = Codec::ALL.map(|codec| codec.mime_type().to_ascii_lowercase());
    vec![
        "import type { Purpose, Tick } from \"./types.js\";\n".to_owned(),
        constant(
            "Every purpose, in the order in which a host is offered them; none is preselected.",
            "PURPOSES",
            "readonly Purpose[]",
            &Purpose::ALL,
        ),
        constant(
            "Purposes beyond treatment, payment and operations: a written authorization is due.",
            "PURPOSES_WITH_AUTHORIZATION",
            "readonly Purpose[]",
            &with_authorization,
        ),
        constant(
            "What a host confirms before asking, in the order in which a page lists it.",
            "CHECKLIST",
            "readonly Tick[\"what\"][]",
            &CHECKLIST,
        ),
        constant(
            "MIME types of the codecs whose frames can be protected, in order of preference.",
            "CODECS",
            "readonly string[]",
            &codecs,
        ),
        constant(
            "How often a recorder tells the members that it is recording.",
            "HEARTBEAT_EVERY_MS",
            "",
            &limits::HEARTBEAT_EVERY_MS,
        ),
        constant(
            "How long an upload capability is good for.",
            "CAPABILITY_DAYS",
            "",
            &limits::CAPABILITY_DAYS,
        ),
        constant(
            "Kind and length before each record of a track file.",
            "RECORD_PREFIX_BYTES",
            "",
            &RECORD_PREFIX_BYTES,
        ),
    ]
}

fn main() -> Result<(), serde_json::Error> {
    let printed = BTreeMap::from([("types", types()), ("constants", constants())]);
    println!("{}", serde_json::to_string(&printed)?);
    Ok(())
}
