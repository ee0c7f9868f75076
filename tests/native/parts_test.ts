/**
 * Regions in parts (native/runtime/parts.hpp) on real threads.
 * @module
 */
import { runCheck } from "../support/native_check.ts";

Deno.test("parts: each is taken once, region after region, and what a thread that is held up leaves, others take", () =>
  runCheck("parts_check.cpp"));
