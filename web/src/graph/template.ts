/** The elements of the offline page, out of the template that Python fills for a file. */

/** What stands in the body up to the script, without the template's own marks. */
export function findBody(template: string): string {
  const start = template.indexOf("<body>");
  const end = template.indexOf('<script type="application/json"');
  if (start < 0 || end < 0) throw new Error("the template of a graph's page has changed: build the workbench again");
  return template.slice(start + "<body>".length, end).replaceAll(/\{%.*?%\}|\{\{.*?\}\}/g, "");
}

/** Put the graph's title where the template has it. */
export function fillText(body: HTMLElement, title: string): void {
  const heading = body.querySelector("h1");
  if (heading) {
    heading.textContent = title;
    heading.title = title;
  }
  const mark = body.querySelector(".mark");
  if (mark) mark.textContent = "mindscope";
  body.querySelector(".prompt")?.remove(); // it is the title
}
