//! Lists in answers: which pieces of the text must go, so that only what may be used is shown.
//!
//! Nothing is written anew: what stays, stays byte for byte, so that signed tools stay whole.

use std::{borrow::Cow, ops::Range};

use crate::{
    json::Reader,
    mcp::{
        McpRequest, Message, MessageKind, Operation,
        answer::{Answer, Element, Found, Unreadable, array, object},
        edit::{Edit, range_in},
        member::Slot,
        read::MAX_DEPTH,
    },
};

/// The lists that a client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    Tools,
    Prompts,
    Resources,
    Templates,
}

impl ListKind {
    const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    fn of(message: &Message) -> Option<Self> {
        match message.operation().method() {
            "tools/list" => Some(Self::Tools),
            "prompts/list" => Some(Self::Prompts),
            // The latter of the skills extension: what is in a directory, in the same shape.
            "resources/list" | "resources/directory/read" => Some(Self::Resources),
            "resources/templates/list" => Some(Self::Templates),
            _ => None,
        }
    }

    /// What an element of the list is for.
    fn operation(self, name: &str) -> Operation {
        match self {
            Self::Tools => Operation::tool(name),
            Self::Prompts => Operation::prompt(name),
            Self::Resources | Self::Templates => Operation::resource(name),
        }
    }
}

/// The lists that may stand in the answers to an HTTP request.
#[derive(Clone, Debug)]
pub(crate) enum Lists {
    /// Those that the request asks for.
    Asked(McpRequest),
    /// Any: a GET opens a stream of its own, which goes on with the answers to other requests where
    /// it is resumed (`Last-Event-ID`), and carries all answers in 2024-11-05.
    Any,
}

impl Lists {
    /// `None`: there are none.
    pub(crate) fn of(request: &McpRequest) -> Option<Self> {
        let messages = request.messages();
        if messages.iter().any(|it| ListKind::of(it).is_some()) {
            return Some(Self::Asked(request.clone()));
        }
        let is_get = |message: &Message| message.operation().method() == "GET";
        messages.iter().any(is_get).then_some(Self::Any)
    }

    /// The lists that may stand in the answer with this `id`: all that were asked for, unless it
    /// names another request without any doubt. A client may not look at the `id`, and a server may
    /// answer with what it made of it, or with one of its own where it was given none.
    fn in_answer(&self, id: Option<&str>) -> Vec<ListKind> {
        let Self::Asked(request) = self else {
            return ListKind::ALL.into();
        };
        let messages = request.messages();
        let id = id.and_then(plain);
        let names =
            |message: &&Message| message.kind() == MessageKind::Request && plain_id(message) == id;
        let is_certain = id.is_some() && messages.iter().any(|message| names(&message));
        let may_be_of =
            |message: &&Message| !is_certain || plain_id(message).is_none() || names(message);
        let may_be_of = messages.iter().filter(may_be_of);
        let kinds: Vec<_> = may_be_of.filter_map(ListKind::of).collect();
        // Each once: a batch can ask for the same list a hundred times.
        let mut all = ListKind::ALL.to_vec();
        all.retain(|kind| kinds.contains(kind));
        all
    }

    /// What is to be changed in `text`, one JSON-RPC message or an array of them, so that of each
    /// list only those elements are left of which `shows` says so, and no shared cache keeps it.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] where not everyone would read the same list.
    pub(crate) fn edits(
        &self,
        text: &str,
        mut shows: impl FnMut(&Operation) -> bool,
    ) -> Result<Vec<Edit>, Unreadable> {
        let messages = array(text)?.unwrap_or_else(|| vec![text]);
        let mut edits = Vec::new();
        for message in messages {
            let answer: Slot<Answer<'_>> = object(message)?;
            let answer = answer.get().ok_or(Unreadable)?;
            if answer.is_faulty {
                return Err(Unreadable);
            }
            let Some(result) = answer.result else {
                continue;
            };
            let kinds = self.in_answer(answer.id);
            if !kinds.is_empty() {
                self.in_result(text, result, &kinds, &mut shows, &mut edits)?;
            }
        }
        edits.sort_by_key(|edit| edit.range.start);
        Ok(edits)
    }

    fn in_result(
        &self,
        text: &str,
        result: &str,
        kinds: &[ListKind],
        shows: &mut impl FnMut(&Operation) -> bool,
        edits: &mut Vec<Edit>,
    ) -> Result<(), Unreadable> {
        let is_asked = matches!(self, Self::Asked(_));
        let found: Slot<Found<'_>> = object(result)?;
        let found = match found.get() {
            Some(found) if !found.is_faulty => found,
            None if !is_asked => return Ok(()),
            _ => return Err(Unreadable),
        };
        let mut is_list = is_asked;
        for kind in kinds {
            match found.list(*kind) {
                // Some servers write an empty list so.
                None | Some("null") => {}
                Some(list) if list.starts_with('[') => {
                    is_list = true;
                    drop_hidden(text, list, *kind, shows, edits)?;
                }
                Some(_) if is_asked => return Err(Unreadable),
                Some(_) => {}
            }
        }
        if let (true, Some(scope)) = (is_list, found.cache_scope)
            && scope != PRIVATE
        {
            edits.push(Edit {
                range: range_in(text, scope).ok_or(Unreadable)?,
                with: PRIVATE,
            });
        }
        Ok(())
    }
}

const PRIVATE: &str = r#""private""#;

fn drop_hidden(
    text: &str,
    list: &str,
    kind: ListKind,
    shows: &mut impl FnMut(&Operation) -> bool,
    edits: &mut Vec<Edit>,
) -> Result<(), Unreadable> {
    let mut elements: Vec<(Range<usize>, bool)> = Vec::new();
    for element in array(list)?.unwrap_or_default() {
        let slot: Slot<Element<'_>> = object(element)?;
        // What has no name cannot be asked for, and is not shown.
        let is_shown = match slot.get() {
            Some(element) if element.is_faulty => return Err(Unreadable),
            Some(element) => element
                .name(kind)
                .is_some_and(|name| shows(&kind.operation(name))),
            None => false,
        };
        elements.push((range_in(text, element).ok_or(Unreadable)?, is_shown));
    }
    let mut before: Option<usize> = None;
    let mut rest = elements.as_slice();
    while let [(first, is_shown), tail @ ..] = rest {
        rest = tail;
        if *is_shown {
            before = Some(first.end);
            continue;
        }
        let mut end = first.end;
        while let [(next, false), tail @ ..] = rest {
            end = next.end;
            rest = tail;
        }
        // One comma goes with them: the one behind, or at the end of the list the one in front.
        edits.push(Edit::remove(match (rest, before) {
            ([(next, _), ..], _) => first.start..next.start,
            ([], Some(before)) => before..end,
            ([], None) => first.start..end,
        }));
    }
    Ok(())
}

fn plain_id(message: &Message) -> Option<Cow<'_, str>> {
    plain(message.id()?.as_json())
}

/// What everyone makes of an id: its text, also where it is a number that all keep to the letter.
/// `None`: it may become another one, as `-0`, or a number that is rounded or cut off.
fn plain(id: &str) -> Option<Cow<'_, str>> {
    if let Ok(Some(text)) = Reader::new(id, MAX_DEPTH).text() {
        return Some(text);
    }
    let number: i32 = id.parse().ok()?;
    (number.to_string() == id).then_some(Cow::Borrowed(id))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::mcp::{Target, edit::apply};

    fn asked(request: &str) -> Lists {
        let request = McpRequest::from_json(request.as_bytes()).unwrap();
        Lists::of(&request).unwrap()
    }

    fn list(method: &str) -> Lists {
        asked(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#
        ))
    }

    /// The text that is left when what begins with `hidden` is.
    fn shown(lists: &Lists, text: &str) -> Result<String, Unreadable> {
        let edits = lists.edits(text, |operation| {
            let name = operation.target().map_or("", Target::name);
            !name.starts_with("hidden")
        })?;
        Ok(String::from_utf8(apply(text.as_bytes(), &edits)).unwrap())
    }

    #[test]
    fn hidden_elements_go_and_every_other_byte_stays() {
        for (before, after) in [
            (r#"[]"#, r#"[]"#),
            (r#" [ {"name":"a"} ] "#, r#" [ {"name":"a"} ] "#),
            (r#"[ {"name":"hidden"} ]"#, r#"[  ]"#),
            (
                r#"[{"name":"hidden"} , {"name":"a", "x":1.50}]"#,
                r#"[{"name":"a", "x":1.50}]"#,
            ),
            (
                r#"[{"name":"a"} ,  {"name":"hidden"} ]"#,
                r#"[{"name":"a"} ]"#,
            ),
            (
                r#"[{"name":"a"}, {"name":"hidden1"},{"name":"hidden2"}, {"name":"b"}]"#,
                r#"[{"name":"a"}, {"name":"b"}]"#,
            ),
            (
                r#"[{"name":"hidden1"},{"name":"a"},{"name":"hidden2"},{"name":"b"},{"name":"hidden3"},{"name":"hidden4"}]"#,
                r#"[{"name":"a"},{"name":"b"}]"#,
            ),
            (r#"[{"name":"hidden1"},{"name":"hidden2"}]"#, r#"[]"#),
            // Names are compared decoded, and what has none is not shown.
            (
                r#"[{"n\u0061me":"\u0068idden"},{"name":"\u0061"}]"#,
                r#"[{"name":"\u0061"}]"#,
            ),
            (
                r#"[{"title":"x"},{"name":1},"x",7,null,{"name":"a"}]"#,
                r#"[{"name":"a"}]"#,
            ),
            ("null", "null"),
        ] {
            let answer = |list: &str| {
                format!(
                    r#" {{"jsonrpc": "2.0","id":1,"result":{{ "tools":{list},"nextCursor":"c","ttlMs":5e3}} }} "#
                )
            };
            let shown = shown(&list("tools/list"), &answer(before));
            assert_eq!(shown.as_deref(), Ok(&*answer(after)), "{before}");
        }
    }

    #[test]
    fn each_list_is_judged_by_what_its_elements_are_asked_for() {
        for (method, member, key, target) in [
            ("tools/list", "tools", "name", Target::Tool("a".into())),
            (
                "prompts/list",
                "prompts",
                "name",
                Target::Prompt("a".into()),
            ),
            (
                "resources/list",
                "resources",
                "uri",
                Target::Resource("a".into()),
            ),
            (
                "resources/directory/read",
                "resources",
                "uri",
                Target::Resource("a".into()),
            ),
            (
                "resources/templates/list",
                "resourceTemplates",
                "uriTemplate",
                Target::Resource("a".into()),
            ),
        ] {
            let text = format!(r#"{{"id":1,"result":{{"{member}":[{{"{key}":"a"}}]}}}}"#);
            let mut judged = Vec::new();
            let edits = list(method).edits(&text, |operation| {
                judged.extend(operation.target().cloned());
                true
            });
            assert_eq!((edits, judged), (Ok(vec![]), vec![target]), "{method}");
        }
    }

    #[test]
    fn a_filtered_list_is_private_wherever_it_says_otherwise() {
        for (before, after) in [
            (r#""public""#, r#""private""#),
            (r#""private""#, r#""private""#),
            (r#""pub\u006cic""#, r#""private""#),
            ("7", r#""private""#),
            (r#"{"a":[1]}"#, r#""private""#),
        ] {
            for template in [
                r#"{"id":1,"result":{"cacheScope": SCOPE ,"tools":[{"name":"a"}]}}"#,
                r#"{"result":{"tools":[],"cacheScope":SCOPE},"id":1}"#,
            ] {
                let shown = shown(&list("tools/list"), &template.replace("SCOPE", before));
                assert_eq!(shown.unwrap(), template.replace("SCOPE", after));
            }
        }
    }

    #[test]
    fn other_messages_stay() {
        for text in [
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"tools":[{"name":"hidden"}]}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"hidden"}}"#,
            r#"{"error":"invalid_request"}"#,
            r#"{"id":1,"result":{"prompts":[{"name":"hidden"}],"tools":[]}}"#,
        ] {
            assert_eq!(shown(&list("tools/list"), text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for text in [
            "",
            "x",
            "7",
            "[7]",
            r#"{"id":1,"result":{"tools":[]}} {}"#,
            "\u{feff}{\"id\":1,\"result\":{\"tools\":[]}}",
            r#"{"id":1,"result":{"tools":[]},"result":{"tools":[{"name":"hidden"}]}}"#,
            r#"{"id":1,"result":{},"Result":{"tools":[{"name":"hidden"}]}}"#,
            r#"{"id":1,"result":{"tools":[],"tools":[{"name":"hidden"}]}}"#,
            r#"{"id":1,"result":{"tools":[],"\u0074ools":[{"name":"hidden"}]}}"#,
            r#"{"id":1,"result":{"tools":[],"Tools":[{"name":"hidden"}]}}"#,
            r#"{"id":1,"result":{"cacheScope":"private","cacheScope":"public"}}"#,
            r#"{"id":1,"result":{"tools":[{"name":"a","name":"hidden"}]}}"#,
            r#"{"id":1,"result":{"tools":[{"name":"a","NAME":"hidden"}]}}"#,
            r#"{"id":1,"result":{"tools":[{"name":"\ud800"}]}}"#,
            r#"{"id":1,"result":{"tools":{"0":{"name":"hidden"}}}}"#,
            r#"{"id":1,"result":[{"name":"hidden"}]}"#,
            r#"{"id":1,"result":{"tools":[{"name":"hidden","x":NaN}]}}"#,
        ] {
            assert_eq!(shown(&list("tools/list"), text), Err(Unreadable), "{text}");
        }
        let deep = |levels: usize| {
            format!(
                r#"{{"id":1,"result":{{"tools":[{{"name":"a","x":{}{}}}]}}}}"#,
                "[".repeat(levels),
                "]".repeat(levels)
            )
        };
        assert!(shown(&list("tools/list"), &deep(124)).is_ok());
        assert_eq!(shown(&list("tools/list"), &deep(125)), Err(Unreadable));
    }

    #[test]
    fn in_a_batch_each_answer_is_held_to_its_question() {
        let batch = asked(
            r#"[{"jsonrpc":"2.0","id":1,"method":"tools/list"},
                {"jsonrpc":"2.0","id":"a","method":"prompts/list"},
                {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"x"}}]"#,
        );
        let answer = |id: &str| {
            format!(
                r#"{{"id":{id},"result":{{"tools":[{{"name":"hidden"}}],"prompts":[{{"name":"hidden"}}]}}}}"#
            )
        };
        let both = |id: &str| format!(r#"{{"id":{id},"result":{{"tools":[],"prompts":[]}}}}"#);
        let tools = r#"{"id":1,"result":{"tools":[],"prompts":[{"name":"hidden"}]}}"#;
        let prompts = r#"{"id":"\u0061","result":{"tools":[{"name":"hidden"}],"prompts":[]}}"#;
        for (before, after) in [
            (answer("1"), tools.to_owned()),
            (answer(r#""\u0061""#), prompts.to_owned()),
            (answer("2"), answer("2")),
            // Nothing with such an id was asked: it may be the answer to each.
            (answer("3"), both("3")),
            (answer("1.0"), both("1.0")),
            (answer("null"), both("null")),
            (
                format!("[{}, {}, {}]", answer("2"), answer("1"), answer("9")),
                format!("[{}, {tools}, {}]", answer("2"), both("9")),
            ),
        ] {
            assert_eq!(shown(&batch, &before).unwrap(), after);
        }
        // To some servers these are one id; to some a question without an id has one, too.
        let hidden =
            |id: &str| format!(r#"{{"id":{id},"result":{{"tools":[{{"name":"hidden"}}]}}}}"#);
        for (list, other, answered) in [
            (r#""id":-0,"#, r#""id":0,"method":"ping""#, "0"),
            (r#""id":0,"#, r#""id":-0,"method":"ping""#, "-0"),
            (
                r#""id":9007199254740993,"#,
                r#""id":9007199254740992,"method":"ping""#,
                "9007199254740992",
            ),
            (r#""id":4294967297,"#, r#""id":1,"method":"ping""#, "1"),
            (r#""id":"1","#, r#""id":1,"method":"ping""#, "1"),
            (r#""id":1,"#, r#""id":"1","method":"ping""#, r#""1""#),
            (r#""id":-0,"#, r#""id":0,"method":"prompts/list""#, "0"),
            (r#""id":2,"#, r#""id":0,"result":{}"#, "0"),
            ("", r#""id":0,"method":"ping""#, "0"),
        ] {
            let batch = asked(&format!(
                r#"[{{"jsonrpc":"2.0",{list}"method":"tools/list"}},{{"jsonrpc":"2.0",{other}}}]"#
            ));
            assert_eq!(
                shown(&batch, &hidden(answered)).unwrap(),
                format!(r#"{{"id":{answered},"result":{{"tools":[]}}}}"#),
                "{list} {other}"
            );
        }
        // What is asked for a hundred times is not judged as often.
        let same = [r#"{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/list"}"#; 100];
        let mut judged = 0;
        let edits = asked(&format!("[{}]", same.join(","))).edits(&hidden("1"), |_| {
            judged += 1;
            false
        });
        assert_eq!((edits.map(|edits| edits.len()), judged), (Ok(1), 1));
        // The only question's answer is the list, whatever its id.
        let other = r#"{"id":9,"result":{"tools":[{"name":"hidden"}]}}"#;
        assert_eq!(
            shown(&list("tools/list"), other).unwrap(),
            r#"{"id":9,"result":{"tools":[]}}"#
        );
    }

    #[test]
    fn a_stream_of_its_own_may_carry_any_list() {
        let bodiless = |method| {
            let version = crate::ProtocolVersion::V2025_11_25;
            Lists::of(&McpRequest::without_message(method, version, true))
        };
        assert!(bodiless("DELETE").is_none());
        let any = bodiless("GET").unwrap();
        for (before, after) in [
            (
                r#"{"id":4,"result":{"tools":[{"name":"hidden"}],"cacheScope":"public"}}"#,
                r#"{"id":4,"result":{"tools":[],"cacheScope":"private"}}"#,
            ),
            (
                r#"{"id":4,"result":{"resources":[{"uri":"hidden:///a"}]}}"#,
                r#"{"id":4,"result":{"resources":[]}}"#,
            ),
            (
                r#"{"id":4,"result":{"content":[{"name":"hidden"}],"tools":{"a":1},"cacheScope":"public"}}"#,
                r#"{"id":4,"result":{"content":[{"name":"hidden"}],"tools":{"a":1},"cacheScope":"public"}}"#,
            ),
            (r#"{"id":4,"result":7}"#, r#"{"id":4,"result":7}"#),
        ] {
            assert_eq!(shown(&any, before).unwrap(), after);
        }
        let call = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#;
        assert!(Lists::of(&McpRequest::from_json(call).unwrap()).is_none());
    }
}
