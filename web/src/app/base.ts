/** Where the pages are, as `ROOT` in `server/workbench/pages.py` says it too. */
export const BASE = "/workbench/";
