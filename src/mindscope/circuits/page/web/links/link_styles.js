/** How wide and how opaque links are drawn. */

/** @import { Link } from "../model/graph.js" */

/** @typedef {{ link: Link, width: number, alpha: number }} StyledLink width in pixels */

/** So many links stay fluid to draw on a machine without a GPU. */
export const N_DRAWN_LINKS = 4000;

/**
 * Where nothing is in focus the width is the share of what goes into the target.
 * @param {readonly Link[]} links
 * @returns {StyledLink[]}
 */
export function styleBackground(links) {
  return links.map((link) => ({
    link,
    width: 0.4 + 2.6 * link.share,
    alpha: link.share > 0.05 ? 0.3 : 0.2,
  }));
}

/**
 * In focus the width compares the links of that focus.
 * @param {readonly Link[]} links
 * @returns {StyledLink[]}
 */
export function styleFocus(links) {
  const largest = links.reduce((size, { weight }) => Math.max(size, Math.abs(weight)), 1e-30);
  return links.map((link) => {
    const share = Math.abs(link.weight) / largest;
    return { link, width: 0.5 + 3.2 * share, alpha: 0.3 + 0.6 * share };
  });
}
