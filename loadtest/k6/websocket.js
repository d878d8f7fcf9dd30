// Connections that stay: each sends MESSAGES texts to a backend that echoes them,
// and waits for each echo. The Ingress needs no annotation.

import { WebSocket } from 'k6/websockets';
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';
import * as target from './lib/target.js';
import { summary } from './lib/summary.js';

const messages = target.number('MESSAGES', 100);
const echoes = new Trend('echo_duration', true);
const lost = new Counter('echoes_lost');

export const options = target.common({
  scenarios: {
    websocket: {
      executor: 'constant-vus',
      vus: target.number('VUS', 50),
      duration: target.duration('DURATION', '30s'),
      gracefulStop: '10s',
    },
  },
  thresholds: {
    checks: ['rate==1'],
    echoes_lost: ['count==0'],
    echo_duration: [`p(99)<${target.number('MAX_P99', 250)}`],
  },
});

export default function () {
  const scheme = __ENV.TLS === 'true' ? 'wss' : 'ws';
  const socket = new WebSocket(`${scheme}://${target.host}${target.path}`);
  let [opened, done, sent] = [false, 0, 0];
  const send = () => {
    sent = Date.now();
    socket.send(`message ${done}`);
  };
  socket.onopen = () => {
    opened = true;
    send();
  };
  socket.onmessage = ({ data }) => {
    check(data, { 'the same text': (text) => text === `message ${done}` });
    echoes.add(Date.now() - sent);
    done += 1;
    if (done < messages) send();
    else socket.close();
  };
  socket.onclose = () => {
    check(opened, { 'upgraded': (yes) => yes });
    lost.add(messages - done);
  };
  // A close follows.
  socket.onerror = () => socket.close();
}

export const handleSummary = summary('websocket');
