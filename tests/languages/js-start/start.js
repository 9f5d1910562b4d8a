// Rejects the callers that the setting `blocked` lists, and tells the agent the
// language of its configuration otherwise. Built for QuickJS and StarlingMonkey.

import { get } from 'hookswitch:plugin/config@1.0.0';
import { write } from 'hookswitch:plugin/log@1.0.0';

export const startHandler = {
  onStart(call, agentConfig) {
    const blocked = JSON.parse(get('blocked') ?? '[]');
    write('info', `${call.endpoint} calls ${call.agentId}`);
    if (blocked.includes(call.endpoint)) {
      return { tag: 'reject', val: 'This number is blocked.' };
    }
    const { primaryLanguage } = JSON.parse(agentConfig);
    return { tag: 'accept', val: { additionalData: JSON.stringify({ language: primaryLanguage }) } };
  },
};
