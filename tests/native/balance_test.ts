/**
 * Shares of the work that follow the threads' speed (native/runtime/balance.hpp).
 * @module
 */
import { runCheck } from "../support/native_check.ts";

Deno.test("balance: shares follow the threads' speed, cover the work, and are forgotten", () =>
  runCheck("balance_check.cpp"));
