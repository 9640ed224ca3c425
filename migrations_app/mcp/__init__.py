"""The portal for chat assistants: five tools by the Model Context Protocol, at /mcp (docs/mcp.md)."""
