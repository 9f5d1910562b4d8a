//! What [`export!`](crate::export!) puts between the generated bindings and an
//! author's handlers: the contract's types in, the SDK's types to the handler,
//! the contract's types out.

use std::marker::PhantomData;

use crate::{
    Call, Delivery, Error, Event, EventDecision, EventHandler, Json, StartDecision, StartHandler,
    ToolDecision, ToolHandler, TransferDecision, TransferHandler, Utterance,
    bindings::{
        event::exports::hookswitch::plugin::event_handler as event,
        imports::hookswitch::plugin::types,
        start::exports::hookswitch::plugin::start_handler as start,
        tools::exports::hookswitch::plugin::tool_handler as tools,
        transfer::exports::hookswitch::plugin::transfer_handler as transfer,
    },
    call::Sip,
    output,
    transfer::Target,
};

#[derive(Debug)]
pub struct StartExport<P>(PhantomData<P>);

#[derive(Debug)]
pub struct TransferExport<P>(PhantomData<P>);

#[derive(Debug)]
pub struct ToolExport<P>(PhantomData<P>);

#[derive(Debug)]
pub struct EventExport<P>(PhantomData<P>);

impl<P: StartHandler + 'static> start::Guest for StartExport<P> {
    fn on_start(call: types::Call, agent_config: String) -> Result<start::StartDecision, String> {
        let decision = P::on_start(&call.into(), &Json::trusted(agent_config));
        output::flush();
        Ok(match decision.map_err(in_words)? {
            StartDecision::Accept(acceptance) => start::StartDecision::Accept(start::Acceptance {
                agent_config: acceptance.agent_config.map(Json::into_string),
                additional_data: acceptance.additional_data.map(Json::into_string),
            }),
            StartDecision::Reject(reason) => start::StartDecision::Reject(reason),
            StartDecision::Forward(endpoint) => start::StartDecision::Forward(endpoint),
            StartDecision::Pass => start::StartDecision::Pass,
        })
    }
}

impl<P: TransferHandler + 'static> transfer::Guest for TransferExport<P> {
    fn on_transfer(
        call: types::Call,
        reason: Option<String>,
        transcription: Vec<types::Utterance>,
    ) -> Result<transfer::TransferDecision, String> {
        let transcription: Vec<Utterance> = transcription.into_iter().map(Into::into).collect();
        let decision = P::on_transfer(&call.into(), reason.as_deref(), &transcription);
        output::flush();
        Ok(match decision.map_err(in_words)? {
            TransferDecision::Cold(target) => transfer::TransferDecision::Cold(target.into()),
            TransferDecision::Warm(target) => transfer::TransferDecision::Warm(target.into()),
            TransferDecision::Forward(endpoint) => transfer::TransferDecision::Forward(endpoint),
            TransferDecision::Pass => transfer::TransferDecision::Pass,
        })
    }
}

impl<P: ToolHandler + 'static> tools::Guest for ToolExport<P> {
    fn tools() -> Vec<tools::Tool> {
        let describe = |tool: crate::ToolDescription| tools::Tool {
            name: tool.name,
            description: tool.description,
            input_schema: tool.input_schema.into_string(),
        };
        P::tools().into_iter().map(describe).collect()
    }

    fn call_tool(
        call: types::Call,
        name: String,
        arguments: String,
    ) -> Result<tools::ToolDecision, String> {
        let decision = P::call_tool(&call.into(), &name, &Json::trusted(arguments));
        output::flush();
        Ok(match decision.map_err(in_words)? {
            ToolDecision::Answer(answer) => tools::ToolDecision::Answer(answer.into_string()),
            ToolDecision::Forward(endpoint) => tools::ToolDecision::Forward(endpoint),
            ToolDecision::Pass => tools::ToolDecision::Pass,
        })
    }
}

impl<P: EventHandler + 'static> event::Guest for EventExport<P> {
    fn on_event(event: event::Event) -> Result<event::EventDecision, String> {
        let event = Event {
            id: event.id,
            kind: event.kind,
            call: event.call.into(),
            body: Json::trusted(event.body),
        };
        let decision = P::on_event(&event);
        output::flush();
        Ok(match decision.map_err(in_words)? {
            EventDecision::Unchanged => event::EventDecision::Unchanged,
            EventDecision::Drop => event::EventDecision::Drop,
            EventDecision::Deliver(deliveries) => {
                event::EventDecision::Deliver(deliveries.into_iter().map(Into::into).collect())
            }
        })
    }
}

/// An error with its causes, as the log shows it.
fn in_words(error: Error) -> String {
    format!("{error:#}")
}

impl From<types::Call> for Call {
    fn from(call: types::Call) -> Self {
        Self {
            platform: call.platform,
            org_id: call.org_id,
            agent_id: call.agent_id,
            call_id: call.call_id,
            status: call.status,
            endpoint: call.endpoint,
            call_data: Json::trusted(call.call_data),
            agent_data: Json::trusted(call.agent_data),
            sip: call.sip.map(Into::into),
        }
    }
}

impl From<types::Sip> for Sip {
    fn from(sip: types::Sip) -> Self {
        Self {
            from_user: sip.from_user,
            from_domain: sip.from_domain,
            to_user: sip.to_user,
            to_domain: sip.to_domain,
            diversion: sip.diversion,
        }
    }
}

impl From<types::Utterance> for Utterance {
    fn from(utterance: types::Utterance) -> Self {
        Self {
            speaker: utterance.speaker,
            name: utterance.name,
            text: utterance.text,
            start_time: utterance.start_time,
            end_time: utterance.end_time,
        }
    }
}

impl From<Target> for transfer::Target {
    fn from(target: Target) -> Self {
        Self {
            destination: target.destination,
            options: target.options.map(Json::into_string),
        }
    }
}

impl From<Delivery> for event::Delivery {
    fn from(delivery: Delivery) -> Self {
        Self {
            endpoint: delivery.endpoint,
            body: delivery.body.map(Json::into_string),
        }
    }
}
