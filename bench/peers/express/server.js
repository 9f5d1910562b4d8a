// What people write instead: the handler of the platform's documentation, with the block
// list of start-gate for its decision: express.json(), a log line for each webhook, its
// check of the signature, a switch over the payload's type. LIGHT=1 leaves out line and
// signature.
//
// Prints its address, and serves until it is killed.
'use strict';

const crypto = require('crypto');
const express = require('express');

const light = process.env.LIGHT === '1';
const secret = process.env.WEBHOOK_SECRET;
const blocked = new Set(['+14155550666']);

function validateWebhook(req) {
  const signature = req.headers['x-blackbox-signature'];
  if (!signature) {
    throw new Error('Missing signature header');
  }
  const payload = JSON.stringify(req.body);
  const expected = crypto.createHmac('sha256', secret).update(payload).digest('hex');
  const given = signature.replace(/^sha256=/, '');
  if (!crypto.timingSafeEqual(Buffer.from(given), Buffer.from(expected))) {
    throw new Error('Invalid signature');
  }
}

function answer(payload) {
  switch (payload.type) {
    case 'StartWebHookPayload':
      return blocked.has(payload.sip?.fromUser ?? payload.endpoint)
        ? { accept: false, reasonMessage: 'This number is blocked.' }
        : { accept: true };
    default:
      return { received: true };
  }
}

const app = express();
app.use(express.json());

app.post('/hooks/:source', async (req, res) => {
  if (!light) {
    console.log('Webhook received:', req.body.type);
    try {
      validateWebhook(req);
    } catch (error) {
      console.error('Webhook validation failed:', error);
      return res.status(401).json({ error: 'Unauthorized' });
    }
  }
  try {
    res.status(200).json(answer(req.body));
  } catch (error) {
    console.error('Webhook processing error:', error);
    res.status(500).json({ error: 'Processing failed' });
  }
});

const server = app.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
