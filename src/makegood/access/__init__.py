"""Who asks, what they may do, and which rows and fields they may see: said once for the API and for pages."""
