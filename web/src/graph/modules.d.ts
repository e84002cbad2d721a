/** The modules of the offline page, which have their types in comments. */
declare module "*/page/web/mount.js" {
  export function mountGraphPage(content: unknown): void;
}
