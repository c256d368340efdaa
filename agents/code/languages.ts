import { basename } from "node:path";

const BY_EXTENSION: Record<string, string> = {
  ".c": "C",
  ".cc": "C++",
  ".cpp": "C++",
  ".cs": "C#",
  ".css": "CSS",
  ".go": "Go",
  ".h": "C",
  ".hpp": "C++",
  ".html": "HTML",
  ".java": "Java",
  ".js": "JavaScript",
  ".cjs": "JavaScript",
  ".mjs": "JavaScript",
  ".jsx": "JavaScript",
  ".json": "JSON",
  ".kt": "Kotlin",
  ".lua": "Lua",
  ".md": "Markdown",
  ".php": "PHP",
  ".pl": "Perl",
  ".py": "Python",
  ".rb": "Ruby",
  ".rs": "Rust",
  ".scss": "CSS",
  ".sh": "Shell",
  ".sql": "SQL",
  ".swift": "Swift",
  ".tf": "Terraform",
  ".toml": "TOML",
  ".ts": "TypeScript",
  ".cts": "TypeScript",
  ".mts": "TypeScript",
  ".tsx": "TypeScript",
  ".vue": "Vue",
  ".xml": "XML",
  ".yaml": "YAML",
  ".yml": "YAML",
};

const BY_NAME: Record<string, string> = { Dockerfile: "Dockerfile", Makefile: "Makefile" };

/** The language of a source file by its name; undefined for what is no source. */
export function languageOf(extension: string, file: string): string | undefined {
  const lower = extension.toLowerCase();
  if (Object.hasOwn(BY_EXTENSION, lower)) return BY_EXTENSION[lower];
  const name = basename(file);
  return Object.hasOwn(BY_NAME, name) ? BY_NAME[name] : undefined;
}
