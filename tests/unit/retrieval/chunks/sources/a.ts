/** @fileoverview Tools for users. */

import { x } from "y";

/**
 * Greets a user.
 * @param name who
 */
export async function greet(name: string): Promise<void> {
  await send(`hi ${name}`);
}

// const old = 1;
export const add = (a: number, b: number): number => a + b;

@Injectable()
export class Store<T> extends Base {
  private items: T[] = [];

  /** Adds one. */
  @Log()
  push(item: T): void {
    this.items.push(item);
  }

  private drop() { new Thing(); }
}

interface Point { x: number; y: number }
export type Id = string | number;
export enum Color { Red, Green }
declare module "z" { export function q(): void; }
export abstract class Q { abstract m(): void; }
