"""Rejects the callers that the setting `blocked` lists, and tells the agent the
language of its configuration otherwise."""

import json

from wit_world import exports
from wit_world.exports.start_handler import (
    Acceptance,
    StartDecision_Accept,
    StartDecision_Reject,
)
from wit_world.imports import config, log


class StartHandler(exports.StartHandler):
    def on_start(self, call, agent_config):
        blocked = json.loads(config.get("blocked") or "[]")
        log.write(log.Level.INFO, f"{call.endpoint} calls {call.agent_id}")
        if call.endpoint in blocked:
            return StartDecision_Reject("This number is blocked.")
        language = json.loads(agent_config)["primaryLanguage"]
        return StartDecision_Accept(Acceptance(None, json.dumps({"language": language})))
