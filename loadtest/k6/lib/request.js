// One request, and what must hold of its answer.

import http from 'k6/http';
import { check } from 'k6';
import { number } from './target.js';

const expected = number('STATUS', 200);
http.setResponseCallback(http.expectedStatuses(expected));

/** Sends a GET; an answer with another status counts as failed. */
export function get(url, params) {
  const answer = http.get(url, params);
  check(answer, { [`status ${expected}`]: ({ status }) => status === expected });
  return answer;
}
