"""Verifies a request, given as JSON on standard input, as a receiver would."""

import json
import sys

from standardwebhooks import Webhook

request = json.load(sys.stdin)
Webhook(request["secret"]).verify(request["body"], request["headers"])
