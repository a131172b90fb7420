from tests.api.desk import desk, quick_desk

__all__ = ["desk", "quick_desk"]
