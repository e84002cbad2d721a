import assert from "node:assert/strict";
import { test } from "node:test";
import {
  formatCount,
  formatNumber,
  formatPercent,
  formatSigned,
  formatToken,
  shorten,
} from "../model/text.js";

test("numbers have three digits and a real minus sign", () => {
  assert.equal(formatNumber(1234.5), "1230");
  assert.equal(formatNumber(-0.5), "−0.5");
  assert.equal(formatNumber(0.00012), "1.2e−4");
  assert.equal(formatNumber(0), "0");
  assert.equal(formatSigned(2), "+2");
  assert.equal(formatSigned(-2), "−2");
});

test("what is not a number is a dash", () => {
  for (const value of [null, undefined, NaN, Infinity]) assert.equal(formatNumber(value), "–");
});

test("shares above a tenth are whole percents", () => {
  assert.equal(formatPercent(0.6667), "67 %");
  assert.equal(formatPercent(0.0123), "1.2 %");
});

test("counts agree with their noun", () => {
  assert.equal(formatCount(1, "node"), "1 node");
  assert.equal(formatCount(2000, "node"), "2,000 nodes");
});

test("a token that is all space is still seen", () => {
  assert.equal(formatToken(" is"), "is");
  assert.equal(formatToken("\n"), "⏎");
  assert.equal(formatToken(" "), "␣");
});

test("shortening counts signs, not code units", () => {
  assert.equal(shorten("short", 5), "short");
  assert.equal(shorten("a long text", 8), "a long…");
  assert.equal(shorten("🐇🐇🐇", 3), "🐇🐇🐇");
  assert.equal(shorten("🐇🐇🐇", 2), "🐇…");
});
