import packageJson from "../../package.json" with { type: "json" };

/** Version of the software, as package.json has it. */
export const VERSION: string = packageJson.version;
