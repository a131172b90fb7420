"""The whole program: all parts in one process, the API and the pages behind one server, and the demo."""
