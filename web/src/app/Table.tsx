/** A table: a line a row, in columns that say how they are headed and what they show of it. */

import type { Key, ReactNode } from "react";

export interface Column<Row> {
  /** Nothing where no column of the table has a heading. */
  head?: ReactNode;
  /** What stands in the column; of the first one it names the row. */
  cell: (row: Row, index: number) => ReactNode;
  /** Numbers stand at the right, digit under digit. */
  isNumber?: boolean;
  className?: string;
}

interface TableProps<Row> {
  rows: readonly Row[];
  columns: readonly Column<Row>[];
  /** What tells a row from the others; its place by default. */
  keyOf?: (row: Row, index: number) => Key;
  /** Of a row that is marked. */
  rowClass?: (row: Row, index: number) => string | undefined;
  caption?: ReactNode;
  className?: string;
}

/** One that is too wide for its place is scrolled in it. */
export function Table<Row>({ rows, columns, keyOf, rowClass, caption, className }: TableProps<Row>) {
  const isHeaded = columns.some(({ head }) => head !== undefined);
  return (
    <div className="wide">
      <table className={className}>
        {caption !== undefined && <caption>{caption}</caption>}
        {isHeaded && (
          <thead>
            <tr>
              {columns.map((column, place) => (
                <th key={place} scope="col" className={classOf(column)}>
                  {column.head}
                </th>
              ))}
            </tr>
          </thead>
        )}
        <tbody>
          {rows.map((row, index) => (
            <tr key={keyOf ? keyOf(row, index) : index} className={rowClass?.(row, index)}>
              {columns.map((column, place) =>
                place === 0 ? (
                  <th key={place} scope="row" className={classOf(column)}>
                    {column.cell(row, index)}
                  </th>
                ) : (
                  <td key={place} className={classOf(column)}>
                    {column.cell(row, index)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function classOf({ isNumber, className }: Pick<Column<never>, "isNumber" | "className">): string | undefined {
  return [isNumber ? "r" : "", className ?? ""].filter(Boolean).join(" ") || undefined;
}
