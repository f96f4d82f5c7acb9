/** Two kinds of scripts: what runs in pages, ES2020 without modules, and what runs in Node. */

import js from "@eslint/js";
import globals from "globals";

const RULES = {
  ...js.configs.recommended.rules,
  "no-var": "error",
  "prefer-const": "error",
  eqeqeq: "error",
  curly: ["error", "multi-line"],
  "no-shadow": "error",
  "no-else-return": "error",
  "no-implicit-coercion": ["error", { allow: ["+"] }],
  "no-param-reassign": "error",
  "object-shorthand": "error",
  "prefer-template": "error",
  "prefer-arrow-callback": "error",
  "no-unused-expressions": "error",
  "no-useless-return": "error",
  "default-param-last": "error",
  "no-console": "error",
  "no-eval": "error",
  "no-implied-eval": "error",
};

export default [
  {
    files: ["agent/shim/page/*.js"],
    // No globals of browsers: the script takes all that it needs from `window`, at once.
    languageOptions: { ecmaVersion: 2020, sourceType: "script", globals: { window: "readonly" } },
    rules: { ...RULES, strict: ["error", "function"] },
  },
  {
    files: ["tests/browser/*.js"],
    languageOptions: { ecmaVersion: 2024, sourceType: "script", globals: globals.browser },
    rules: { ...RULES, strict: ["error", "global"] },
  },
  {
    files: ["tests/unit/**/*.mjs", "tests/openid/*.mjs", "tests/javascript/*.js"],
    languageOptions: { ecmaVersion: 2024, sourceType: "module", globals: globals.node },
    rules: RULES,
  },
];
