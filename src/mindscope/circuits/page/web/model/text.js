/** Numbers and tokens as the page writes them. */

/**
 * Three significant digits, with a real minus sign; a dash for what is absent or not finite.
 * @param {number | null | undefined} value
 */
export function formatNumber(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const scientific = size !== 0 && (size < 0.001 || size >= 1e6);
  const text = scientific ? value.toExponential(1) : String(Number(value.toPrecision(3)));
  return text.replaceAll("-", "\u2212");
}

/** @param {number} value */
export function formatSigned(value) {
  return (value > 0 ? "+" : "") + formatNumber(value);
}

/** @param {number} share between 0 and 1 */
export function formatPercent(share) {
  return `${(100 * share).toFixed(share >= 0.0995 ? 0 : 1)} %`;
}

/**
 * "1 node", "2,000 nodes".
 * @param {number} amount
 * @param {string} noun in the singular
 */
export function formatCount(amount, noun) {
  return `${amount.toLocaleString("en")} ${noun}${amount === 1 ? "" : "s"}`;
}

/**
 * A token where it stands alone: its spaces and line ends as signs.
 * @param {string} token
 */
export function formatToken(token) {
  return token.replaceAll("\n", "⏎").replaceAll("\t", "⇥").replaceAll("\r", "↵").trim() || "␣";
}

/**
 * At most `length` signs, the last of them an ellipsis where something was cut off.
 * @param {string} text
 * @param {number} length
 */
export function shorten(text, length) {
  const signs = [...text];
  if (signs.length <= length) return text;
  const kept = signs.slice(0, length - 1).join("");
  return `${kept.trimEnd()}…`;
}
