// Asks the setting `url` about the caller, by `fetch`, and tells the agent what
// it heard. Whoever cannot be asked is no reason to turn a caller away. Built for
// StarlingMonkey, whose `fetch` is `wasi:http`.

import { get } from 'hookswitch:plugin/config@1.0.0';
import { write } from 'hookswitch:plugin/log@1.0.0';

export const startHandler = {
  async onStart(call) {
    const url = `${get('url')}?phone=${encodeURIComponent(call.endpoint)}`;
    try {
      const response = await fetch(url, { headers: { accept: 'application/json' } });
      if (!response.ok) throw `status ${response.status}`;
      const caller = await response.json();
      write('info', `${call.endpoint} is known`);
      return { tag: 'accept', val: { additionalData: JSON.stringify(caller) } };
    } catch (error) {
      write('warn', `nothing is known of ${call.endpoint}: ${error}`);
      return { tag: 'accept', val: {} };
    }
  },
};
