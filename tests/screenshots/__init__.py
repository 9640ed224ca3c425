"""Takes the pictures of docs/screenshots: `make screenshots`. Not a part of the suite."""
