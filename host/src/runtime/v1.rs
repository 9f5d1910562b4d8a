//! The contract `hookswitch:plugin@1.0.0` at the engine's edge: generated bindings,
//! and conversions between them and the domain.
//!
//! A later version of the contract gets a module like this one beside it; nothing
//! outside of `runtime` sees which version a plugin was built against.

use serde_json::value::RawValue;
use wasmtime::component::{HasSelf, Instance, InstancePre, Linker};
use wasmtime::{AsContextMut, Store};

use self::exports::hookswitch::plugin::{
    event_handler, start_handler, tool_handler, transfer_handler,
};
use self::hookswitch::plugin::types;
use super::capability::CallState;
use super::loaded::Loaded;
use crate::domain::Json;
use crate::domain::decision::{
    Addressed, Answer, EventAnswer, Failure, FailureCode, InvalidAnswer, Opinion, Reason,
    StartAnswer, Target, ToolAnswer, TransferAnswer,
};
use crate::domain::event::{CallEvent, Matter, Question};
use crate::domain::inspection::Tool;
use crate::domain::plugin::{Handler, Handlers};

mod bindings {
    #![allow(missing_debug_implementations, unreachable_pub, clippy::pedantic)]
    wasmtime::component::bindgen!({
        path: "../wit/v1",
        world: "plugin",
        ownership: Borrowing { duplicate_if_necessary: true },
        imports: { "hookswitch:plugin/kv": async, default: trappable },
        exports: { default: async },
    });
}
pub(super) use self::bindings::{exports, hookswitch};

pub(super) const PACKAGE: &str = "hookswitch:plugin@1.0.0";

/// Most endpoints one event can be delivered to.
const MAX_DELIVERIES: usize = 100;

pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    hookswitch::plugin::context::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    hookswitch::plugin::log::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    hookswitch::plugin::config::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    hookswitch::plugin::kv::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    Ok(())
}

/// Where in a component each handler is; each is optional.
pub(super) struct Exports {
    start: Option<start_handler::GuestIndices>,
    transfer: Option<transfer_handler::GuestIndices>,
    tool: Option<tool_handler::GuestIndices>,
    event: Option<event_handler::GuestIndices>,
}

impl Exports {
    pub(super) fn find(pre: &InstancePre<CallState>) -> Self {
        Self {
            start: start_handler::GuestIndices::new(pre).ok(),
            transfer: transfer_handler::GuestIndices::new(pre).ok(),
            tool: tool_handler::GuestIndices::new(pre).ok(),
            event: event_handler::GuestIndices::new(pre).ok(),
        }
    }

    /// Checks the types of all handlers that are there. Names are found in the
    /// component, types only in an instance.
    pub(super) fn check(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
    ) -> Result<(), (Handler, wasmtime::Error)> {
        fn typed<G>(
            handler: Handler,
            loaded: Option<wasmtime::Result<G>>,
        ) -> Result<(), (Handler, wasmtime::Error)> {
            loaded
                .transpose()
                .map(drop)
                .map_err(|error| (handler, error))
        }
        typed(
            Handler::Start,
            self.start.as_ref().map(|i| i.load(&mut *store, instance)),
        )?;
        typed(
            Handler::Transfer,
            self.transfer
                .as_ref()
                .map(|i| i.load(&mut *store, instance)),
        )?;
        typed(
            Handler::Tool,
            self.tool.as_ref().map(|i| i.load(&mut *store, instance)),
        )?;
        typed(
            Handler::Event,
            self.event.as_ref().map(|i| i.load(&mut *store, instance)),
        )
    }

    /// The tools that the plugin says it answers; none without a handler for tools.
    /// The outer error is a trap; the inner one a list that is no good.
    pub(super) async fn tools(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
    ) -> wasmtime::Result<Result<Vec<Tool>, String>> {
        let Some(indices) = &self.tool else {
            return Ok(Ok(Vec::new()));
        };
        let guest = indices.load(&mut *store, instance)?;
        let listed = guest.call_tools(store).await?;
        Ok(listed.into_iter().map(described).collect())
    }

    pub(super) fn handlers(&self) -> Handlers {
        let found = [
            (Handler::Start, self.start.is_some()),
            (Handler::Transfer, self.transfer.is_some()),
            (Handler::Tool, self.tool.is_some()),
            (Handler::Event, self.event.is_some()),
        ];
        found
            .into_iter()
            .filter_map(|(handler, there)| there.then_some(handler))
            .collect()
    }
}

fn described(tool: tool_handler::Tool) -> Result<Tool, String> {
    let input_schema = RawValue::from_string(tool.input_schema)
        .map_err(|error| format!("an input-schema is not valid JSON: {error}"))?;
    Ok(Tool {
        name: tool.name,
        description: tool.description,
        input_schema,
    })
}

/// What the plugin said, or why what it said cannot stand.
pub(super) type Said = Result<Opinion, Failure>;

impl Loaded {
    /// Instantiates the component and calls the handler for the event. The outer
    /// error is a trap; the inner one the plugin's own or an answer that is no good.
    pub(super) async fn call(
        &self,
        store: &mut Store<CallState>,
        event: &CallEvent,
    ) -> wasmtime::Result<Said> {
        let reply_bytes = store.data().reply_bytes;
        let instance = self.pre.instantiate_async(store.as_context_mut()).await?;
        let diversion = diversion(&event.call);
        let call = call(&event.call, &diversion);
        match &event.matter {
            Matter::Question(Question::Start { agent_config }) => {
                let Some(indices) = &self.exports.start else {
                    return Ok(not_exported());
                };
                let guest = indices.load(&mut *store, &instance)?;
                let config = agent_config.as_deref().map_or("{}", RawValue::get);
                let said = guest.call_on_start(store, call, config).await?;
                Ok(opinion(said, reply_bytes, start))
            }
            Matter::Question(Question::Transfer {
                reason,
                transcription,
            }) => {
                let Some(indices) = &self.exports.transfer else {
                    return Ok(not_exported());
                };
                let guest = indices.load(&mut *store, &instance)?;
                let transcription: Vec<_> = transcription.iter().map(utterance).collect();
                let said = guest
                    .call_on_transfer(store, call, reason.as_deref(), &transcription)
                    .await?;
                Ok(opinion(said, reply_bytes, transfer))
            }
            Matter::Question(Question::Tool {
                name, arguments, ..
            }) => {
                let Some(indices) = &self.exports.tool else {
                    return Ok(not_exported());
                };
                let guest = indices.load(&mut *store, &instance)?;
                let said = guest
                    .call_call_tool(store, call, name, arguments.get())
                    .await?;
                Ok(opinion(said, reply_bytes, tool))
            }
            Matter::Notice(kind) => {
                let Some(indices) = &self.exports.event else {
                    return Ok(not_exported());
                };
                let guest = indices.load(&mut *store, &instance)?;
                let id = store.data().event_id.to_string();
                let payload = store.data().payload.clone();
                // Dialects read only text, so this is what arrived.
                let body = String::from_utf8_lossy(&payload);
                let event = event_handler::Event {
                    id: &id,
                    kind: kind.as_str(),
                    call,
                    body: &body,
                };
                let said = guest.call_on_event(store, event).await?;
                Ok(opinion(said, reply_bytes, self::event))
            }
        }
    }
}

fn not_exported() -> Said {
    Err(Failure {
        code: FailureCode::Unavailable,
        message: "the plugin does not export the handler for this event".to_owned(),
    })
}

fn opinion<D>(
    said: Result<D, String>,
    reply_bytes: u64,
    convert: impl FnOnce(D, &mut Room) -> Result<Opinion, InvalidAnswer>,
) -> Said {
    let mut room = Room {
        most: reply_bytes,
        taken: 0,
    };
    match said {
        Ok(decision) => convert(decision, &mut room).map_err(|invalid| Failure {
            code: FailureCode::InvalidAnswer,
            message: invalid.to_string(),
        }),
        Err(message) => Err(Failure {
            code: FailureCode::PluginError,
            message: shortened(message),
        }),
    }
}

/// A guest's text for a log: one screen is enough.
fn shortened(mut text: String) -> String {
    const MAX_BYTES: usize = 4096;
    if text.len() > MAX_BYTES {
        let end = (0..=MAX_BYTES)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

fn diversion(call: &crate::domain::event::Call) -> Vec<&str> {
    call.sip
        .iter()
        .flat_map(|sip| &sip.diversion)
        .map(String::as_str)
        .collect()
}

fn call<'a>(call: &'a crate::domain::event::Call, diversion: &'a [&'a str]) -> types::Call<'a> {
    types::Call {
        platform: call.platform,
        org_id: &call.org_id,
        agent_id: &call.agent_id,
        call_id: &call.call_id,
        status: &call.status,
        endpoint: call.endpoint.as_deref(),
        call_data: call.call_data.get(),
        agent_data: call.agent_data.get(),
        sip: call.sip.as_ref().map(|sip| types::Sip {
            from_user: sip.from_user.as_deref(),
            from_domain: sip.from_domain.as_deref(),
            to_user: sip.to_user.as_deref(),
            to_domain: sip.to_domain.as_deref(),
            diversion,
        }),
    }
}

fn utterance(said: &crate::domain::event::Utterance) -> types::Utterance<'_> {
    types::Utterance {
        speaker: &said.speaker,
        name: said.name.as_deref(),
        text: &said.text,
        start_time: said.start_time.as_deref(),
        end_time: said.end_time.as_deref(),
    }
}

/// How large an answer may still become.
struct Room {
    most: u64,
    taken: u64,
}

impl Room {
    fn text(&mut self, text: String) -> Result<String, InvalidAnswer> {
        self.taken += text.len() as u64;
        if self.taken > self.most {
            return Err(InvalidAnswer::TooLarge { most: self.most });
        }
        Ok(text)
    }

    fn json(&mut self, text: String, field: &'static str) -> Result<Json, InvalidAnswer> {
        RawValue::from_string(self.text(text)?).map_err(|error| InvalidAnswer::Json {
            field,
            problem: error.to_string(),
        })
    }
}

fn endpoint_name(name: String) -> Result<String, InvalidAnswer> {
    if (1..=128).contains(&name.len()) {
        Ok(name)
    } else {
        Err(InvalidAnswer::EndpointName)
    }
}

fn start(
    decision: start_handler::StartDecision,
    room: &mut Room,
) -> Result<Opinion, InvalidAnswer> {
    use start_handler::StartDecision;
    Ok(match decision {
        StartDecision::Accept(acceptance) => Opinion::Answer(Answer::Start(StartAnswer::Accept {
            agent_config: acceptance
                .agent_config
                .map(|t| room.json(t, "agent-config"))
                .transpose()?,
            additional_data: acceptance
                .additional_data
                .map(|t| room.json(t, "additional-data"))
                .transpose()?,
        })),
        StartDecision::Reject(reason) => Opinion::Answer(Answer::Start(StartAnswer::Reject {
            reason: Reason::try_from(room.text(reason)?)?,
        })),
        StartDecision::Forward(name) => Opinion::Forward(endpoint_name(name)?),
        StartDecision::Pass => Opinion::Pass,
    })
}

fn transfer(
    decision: transfer_handler::TransferDecision,
    room: &mut Room,
) -> Result<Opinion, InvalidAnswer> {
    use transfer_handler::TransferDecision;
    let mut target = |target: transfer_handler::Target| {
        Ok::<_, InvalidAnswer>(Target {
            destination: target.destination.try_into()?,
            options: target
                .options
                .map(|text| room.json(text, "options"))
                .transpose()?,
        })
    };
    Ok(match decision {
        TransferDecision::Cold(to) => Opinion::Answer(Answer::Transfer(TransferAnswer::Cold {
            target: target(to)?,
        })),
        TransferDecision::Warm(to) => Opinion::Answer(Answer::Transfer(TransferAnswer::Warm {
            target: target(to)?,
        })),
        TransferDecision::Forward(name) => Opinion::Forward(endpoint_name(name)?),
        TransferDecision::Pass => Opinion::Pass,
    })
}

fn tool(decision: tool_handler::ToolDecision, room: &mut Room) -> Result<Opinion, InvalidAnswer> {
    use tool_handler::ToolDecision;
    Ok(match decision {
        ToolDecision::Answer(text) => Opinion::Answer(Answer::Tool(ToolAnswer::Answer {
            result: room.json(text, "answer")?,
        })),
        ToolDecision::Forward(name) => Opinion::Forward(endpoint_name(name)?),
        ToolDecision::Pass => Opinion::Pass,
    })
}

fn event(
    decision: event_handler::EventDecision,
    room: &mut Room,
) -> Result<Opinion, InvalidAnswer> {
    use event_handler::EventDecision;
    let answer = match decision {
        EventDecision::Unchanged => EventAnswer::Unchanged {},
        EventDecision::Drop => EventAnswer::Drop {},
        EventDecision::Deliver(deliveries) => {
            if deliveries.len() > MAX_DELIVERIES {
                return Err(InvalidAnswer::TooManyDeliveries(MAX_DELIVERIES));
            }
            let deliveries = deliveries
                .into_iter()
                .map(|delivery| {
                    Ok(Addressed {
                        endpoint: endpoint_name(delivery.endpoint)?,
                        body: delivery
                            .body
                            .map(|text| room.json(text, "body"))
                            .transpose()?,
                    })
                })
                .collect::<Result<_, InvalidAnswer>>()?;
            EventAnswer::Deliver { deliveries }
        }
    };
    Ok(Opinion::Answer(Answer::Event(answer)))
}
