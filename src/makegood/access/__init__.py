"""Authentication, permissions, and visible rows and fields: defined once for the API and the pages."""
